import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { HostContext, useHost } from '../components/host';
import { mlopsIcon } from '../icons';
import type { LiveView } from '../live';
import type { IPanels } from '../tokens';
import { countsOf } from './items';
import { useLive } from './uselive';

/** One line that says how things stand; a click tells more. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly _live: LiveView,
    private readonly _panels: IPanels,
    private readonly _onClick: () => void
  ) {
    super();
    this.addClass('jp-mlops-Status');
  }

  protected override render(): React.JSX.Element {
    return (
      <HostContext.Provider value={this._panels.host}>
        <Line live={this._live} onClick={this._onClick} />
      </HostContext.Provider>
    );
  }
}

function Line(props: {
  live: LiveView;
  onClick: () => void;
}): React.JSX.Element {
  const { live, onClick } = props;
  const { trans } = useHost();
  useLive(live, true);
  const counts = countsOf(live.view);
  const parts = [
    counts.running ? trans.__('%1 running', counts.running) : '',
    counts.served ? trans.__('%1 served', counts.served) : '',
    counts.waiting ? trans.__('%1 waiting', counts.waiting) : ''
  ].filter(Boolean);
  return (
    <button
      type="button"
      title={trans.__('Show the MLOps sidebar')}
      onClick={onClick}
    >
      <mlopsIcon.react tag="span" className="jp-mlops-Status-icon" />
      <span>{parts.length ? parts.join(' · ') : trans.__('MLOps')}</span>
    </button>
  );
}
