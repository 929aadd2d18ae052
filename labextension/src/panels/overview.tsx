import React from 'react';

import { Failure } from '../components/blocks';
import { Blocks } from '../components/view';
import { useHost } from '../components/host';
import type { LiveView } from '../live';
import { NO_WORKSPACE } from '../refusal';
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
      {live.refusal?.code === NO_WORKSPACE ? (
        <p className="jp-mlops-Empty">
          {trans.__(
            'Nothing is kept in this folder yet. The first %mlops line in a notebook begins it.'
          )}
        </p>
      ) : live.refusal ? (
        <Failure reason={live.refusal} />
      ) : null}
      {live.view ? <Blocks blocks={live.view.blocks} /> : null}
    </section>
  );
}
