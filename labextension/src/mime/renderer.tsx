import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import type { IHost } from '../components/host';
import { HostContext } from '../components/host';
import { View } from '../components/view';
import type { IView } from '../views';
import { KINDS } from '../kinds';
import { mimeType, readView } from '../views';

/** A result below its cell, drawn by the same components as in the panels. */
export class ViewRenderer extends ReactWidget implements IRenderMime.IRenderer {
  constructor(
    private readonly _mimeType: string,
    private readonly _host: () => IHost
  ) {
    super();
    this.addClass('jp-mlops-Output');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._view = readView(model.data[this._mimeType]);
    this.update();
    await this.renderPromise;
  }

  protected override render(): React.JSX.Element {
    const host = this._host();
    return (
      <HostContext.Provider value={host}>
        {this._view ? (
          <View view={this._view} />
        ) : (
          <p className="jp-mlops-Aside">
            {host.trans.__('This result can’t be shown by this version.')}
          </p>
        )}
      </HostContext.Provider>
    );
  }

  private _view: IView | null = null;
}

/**
 * Draws every kind of result. Not for untrusted notebooks: those show the static HTML.
 */
export function rendererFactory(
  host: () => IHost
): IRenderMime.IRendererFactory {
  return {
    safe: false,
    mimeTypes: KINDS.map(mimeType),
    defaultRank: 40,
    createRenderer: options => new ViewRenderer(options.mimeType, host)
  };
}
