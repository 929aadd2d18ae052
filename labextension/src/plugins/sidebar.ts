import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { CommandIDs } from '../commands';
import { mlopsIcon } from '../icons';
import { Sidebar } from '../panels/sidebar';
import { IPanels, IWorkspace } from '../tokens';

const RANK = 550;

export const sidebar: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:sidebar',
  description:
    'The sidebar: what runs, what is served, what waits, and every record.',
  autoStart: true,
  requires: [IWorkspace, IPanels],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    workspace: IWorkspace,
    panels: IPanels,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const { trans } = panels.host;
    const widget = new Sidebar(workspace, panels, app.commands);
    app.shell.add(widget, 'left', { rank: RANK, type: 'MLOps' });
    restorer?.add(widget, widget.id);

    app.commands.addCommand(CommandIDs.showOverview, {
      label: trans.__('Show Sidebar'),
      caption: trans.__(
        'Show what runs, what is served and what waits for you'
      ),
      icon: mlopsIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        app.shell.activateById(widget.id);
      }
    });
    palette?.addItem({
      command: CommandIDs.showOverview,
      category: trans.__('MLOps')
    });
  }
};
