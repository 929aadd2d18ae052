import React from 'react';

import { Failure } from '../components/blocks';
import { useHost } from '../components/host';
import { Blocks } from '../components/view';
import type { LiveView } from '../live';

/** What is running, what is served, what changed, what waits for a person, what can be trusted. */
export function Overview(props: { live: LiveView }): React.JSX.Element {
  const { live } = props;
  const { trans } = useHost();
  const answers = live.view?.blocks.filter(one => one.type !== 'table') ?? [];
  return (
    <section
      className="jp-mlops-Overview"
      aria-label={trans.__('At a glance')}
      aria-live="polite"
      aria-busy={live.isLoading}
    >
      {live.refusal ? <Failure reason={live.refusal} /> : null}
      <Blocks blocks={answers} />
    </section>
  );
}
