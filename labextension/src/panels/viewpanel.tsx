import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { Failure } from '../components/blocks';
import type { IHost } from '../components/host';
import { HostContext } from '../components/host';
import { View } from '../components/view';
import type { LiveView } from '../live';
import type { IPanels } from '../tokens';
import { useLive } from './uselive';

/** A panel that draws the answer to one query and follows it. */
export class ViewPanel extends ReactWidget {
  constructor(
    readonly live: LiveView,
    private readonly _panels: IPanels
  ) {
    super();
    this.addClass('jp-mlops-Panel');
    this.node.tabIndex = -1;
    _panels.hostChanged.connect(this.update, this);
    live.changed.connect(this._onChange, this);
    this._onChange();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._panels.hostChanged.disconnect(this.update, this);
    this.live.changed.disconnect(this._onChange, this);
    super.dispose();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.update();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.update();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.focus();
  }

  protected override render(): React.JSX.Element {
    return (
      <Content
        live={this.live}
        host={this._panels.host}
        isVisible={this.isVisible}
      />
    );
  }

  private _onChange(): void {
    const view = this.live.view;
    if (view) {
      this.title.label =
        view.kind === 'profile'
          ? this._panels.host.trans.__('Profile of %1', view.title)
          : view.title;
      this.title.caption = [view.title, view.subtitle]
        .filter(Boolean)
        .join(' · ');
    }
  }
}

function Content(props: {
  live: LiveView;
  host: IHost;
  isVisible: boolean;
}): React.JSX.Element {
  const { live, host, isVisible } = props;
  useLive(live, isVisible);
  return (
    <HostContext.Provider value={host}>
      {live.refusal ? <Failure reason={live.refusal} /> : null}
      {live.view ? <View view={live.view} /> : null}
      <p
        className={
          live.isLoading && !live.view
            ? 'jp-mlops-Aside'
            : 'jp-mlops-Panel-state'
        }
        role="status"
      >
        {live.isLoading
          ? host.trans.__('Loading…')
          : live.view
            ? host.trans.__('Up to date')
            : ''}
      </p>
    </HostContext.Provider>
  );
}
