import { ReactWidget, refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { CommandIDs } from '../commands';
import { HostContext } from '../components/host';
import { mlopsIcon } from '../icons';
import type { IPanels, IWorkspace } from '../tokens';
import { Overview } from './overview';
import { SectionView } from './section';
import { OVERVIEW, sections } from './sections';

/** The five questions a lead asks, and under them everything there is. */
export class Sidebar extends ReactWidget {
  constructor(
    private readonly _workspace: IWorkspace,
    private readonly _panels: IPanels,
    private readonly _commands: CommandRegistry
  ) {
    super();
    const { trans } = _panels.host;
    this.id = 'jupyter-mlops-sidebar';
    this.addClass('jp-mlops-Sidebar');
    this.title.icon = mlopsIcon;
    this.title.caption = trans.__('MLOps');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('MLOps'));
    _panels.hostChanged.connect(this.update, this);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._panels.hostChanged.disconnect(this.update, this);
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
    this.node.querySelector('button')?.focus();
  }

  protected override render(): React.JSX.Element {
    const { host } = this._panels;
    const insert = this._commands.hasCommand(CommandIDs.insertLine)
      ? (line: string) => {
          void this._commands.execute(CommandIDs.insertLine, { line });
        }
      : null;
    return (
      <HostContext.Provider value={host}>
        <div className="jp-mlops-Sidebar-head">
          <h2>{host.trans.__('MLOps')}</h2>
          <button
            type="button"
            className="jp-mlops-IconButton"
            title={host.trans.__('Refresh')}
            aria-label={host.trans.__('Refresh')}
            onClick={() => {
              this._workspace.refresh();
            }}
          >
            <refreshIcon.react tag="span" />
          </button>
        </div>
        <Overview
          live={this._workspace.view(OVERVIEW)}
          isVisible={this.isVisible}
        />
        {sections(host.trans).map(section => (
          <SectionView
            key={section.id}
            section={section}
            live={this._workspace.view(section.query)}
            isVisible={this.isVisible}
            onOpenList={() => {
              this._panels.openQuery(section.query);
            }}
            onInsert={insert}
          />
        ))}
      </HostContext.Provider>
    );
  }
}
