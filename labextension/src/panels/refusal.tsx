import React from 'react';

import type { Refusal } from '../api';
import { NoticeBlock } from '../components/blocks';

/** Why something was refused, in one sentence, and the way out. */
export function RefusalNotice(props: { refusal: Refusal }): React.JSX.Element {
  const { what, why, fix, code } = props.refusal;
  const sentence = `${what.charAt(0).toUpperCase()}${what.slice(1)}${why ? `: ${why}` : ''}.`;
  return (
    <NoticeBlock
      role="alert"
      block={{
        level: 'bad',
        text: code ? `${sentence} (${code})` : sentence,
        fix
      }}
    />
  );
}
