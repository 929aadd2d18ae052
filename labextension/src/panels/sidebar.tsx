import { ReactWidget, refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { CommandIDs } from '../commands';
import { HostContext, useHost } from '../components/host';
import { mlopsIcon } from '../icons';
import type { IPanels, IWorkspace } from '../tokens';
import { Compute, Retraining, Traffic, Watching } from './compute';
import { Overview } from './overview';
import { SectionView } from './section';
import { OVERVIEW, recordsOf, sections } from './sections';
import { useLive } from './uselive';

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
    return (
      <HostContext.Provider value={this._panels.host}>
        <Content
          workspace={this._workspace}
          panels={this._panels}
          commands={this._commands}
          isVisible={this.isVisible}
        />
      </HostContext.Provider>
    );
  }
}

function Content(props: {
  workspace: IWorkspace;
  panels: IPanels;
  commands: CommandRegistry;
  isVisible: boolean;
}): React.JSX.Element {
  const { workspace, panels, commands, isVisible } = props;
  const { trans } = useHost();
  const live = useLive(workspace.view(OVERVIEW), isVisible);
  const insert = commands.hasCommand(CommandIDs.insertLine)
    ? (line: string) => {
        void commands.execute(CommandIDs.insertLine, { line });
      }
    : null;
  return (
    <>
      <div className="jp-mlops-Sidebar-head">
        <h2>{trans.__('MLOps')}</h2>
        <button
          type="button"
          className="jp-mlops-IconButton"
          title={trans.__('Refresh')}
          aria-label={trans.__('Refresh')}
          onClick={() => {
            workspace.refresh();
          }}
        >
          <refreshIcon.react tag="span" />
        </button>
      </div>
      <Overview live={live} />
      {sections(trans).map(section => (
        <SectionView
          key={section.id}
          section={section}
          records={recordsOf(live.view, section)}
          onOpenList={() => {
            panels.openQuery(section.query);
          }}
          onInsert={insert}
          more={
            section.id === 'data' ? (
              <Ways commands={commands} />
            ) : section.id === 'experiments' ? (
              <Compute
                workspace={workspace}
                commands={commands}
                isVisible={isVisible}
              />
            ) : section.id === 'models' ? (
              <Retraining
                workspace={workspace}
                commands={commands}
                isVisible={isVisible}
              />
            ) : section.id === 'endpoints' ? (
              <>
                <Traffic
                  workspace={workspace}
                  commands={commands}
                  isVisible={isVisible}
                />
                <Watching
                  workspace={workspace}
                  commands={commands}
                  isVisible={isVisible}
                />
              </>
            ) : undefined
          }
        />
      ))}
    </>
  );
}

/** From data to what is in it and what is expected of it. */
function Ways(props: { commands: CommandRegistry }): React.JSX.Element {
  const { commands } = props;
  const { trans } = useHost();
  return (
    <div className="jp-mlops-Ways">
      {commands.hasCommand(CommandIDs.profileVariable) ? (
        <button
          type="button"
          className="jp-mlops-Link jp-mlops-Section-all"
          onClick={() => {
            void commands.execute(CommandIDs.profileVariable);
          }}
        >
          {trans.__('Variables of a kernel')}
        </button>
      ) : null}
      <button
        type="button"
        className="jp-mlops-Link jp-mlops-Section-all"
        onClick={() => {
          void commands.execute(CommandIDs.openList, { list: 'contracts' });
        }}
      >
        {trans.__('Contracts')}
      </button>
    </div>
  );
}
