import React from 'react';

import { Blocks } from '../components/view';
import { useHost } from '../components/host';
import type { LiveView } from '../live';
import { RefusalNotice } from './refusal';
import { useLive } from './uselive';

/** What is running, what is served, what changed, what waits for a person, what can be trusted. */
export function Overview(props: {
  live: LiveView;
  isVisible: boolean;
}): React.JSX.Element {
  const { live, isVisible } = props;
  const { trans } = useHost();
  useLive(live, isVisible);
  return (
    <section
      className="jp-mlops-Overview"
      aria-label={trans.__('At a glance')}
      aria-live="polite"
      aria-busy={live.isLoading}
    >
      {live.refusal ? <RefusalNotice refusal={live.refusal} /> : null}
      {live.view ? <Blocks blocks={live.view.blocks} /> : null}
    </section>
  );
}
