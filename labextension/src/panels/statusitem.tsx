import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { mlopsIcon } from '../icons';
import type { LiveView } from '../live';
import type { IPanels } from '../tokens';
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
      <Line
        live={this._live}
        title={this._panels.host.trans.__('Show the MLOps sidebar')}
        name={this._panels.host.trans.__('MLOps')}
        onClick={this._onClick}
      />
    );
  }
}

function Line(props: {
  live: LiveView;
  name: string;
  title: string;
  onClick: () => void;
}): React.JSX.Element {
  const { live, name, title, onClick } = props;
  useLive(live, true);
  return (
    <button type="button" title={title} onClick={onClick}>
      <mlopsIcon.react tag="span" className="jp-mlops-Status-icon" />
      <span>{live.view?.subtitle ? live.view.subtitle : name}</span>
    </button>
  );
}
