import React from 'react';

import { progressText } from '../format';
import type { IProgress } from '../views';
import { useHost } from './host';

/** How far something is, how fast it goes, and when it ends. */
export function ProgressBlock(props: {
  block: Omit<IProgress, 'type'>;
}): React.JSX.Element {
  const { done, total, unit, seconds, remaining } = props.block;
  const { trans } = useHost();
  const share = total ? Math.min(1, done / total) : null;
  return (
    <div className="jp-mlops-Progress">
      <div
        className="jp-mlops-Progress-track"
        role="progressbar"
        aria-label={trans.__('Progress')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share === null ? undefined : Math.round(100 * share)}
        data-unknown={share === null}
      >
        <span style={{ width: `${100 * (share ?? 1)}%` }} />
      </div>
      <span className="jp-mlops-Progress-text">
        {progressText(
          done,
          total ?? null,
          unit ?? 'rows',
          seconds ?? 0,
          remaining ?? null
        )}
      </span>
    </div>
  );
}
