import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';

import { CommandIDs } from '../commands';
import { OVERVIEW } from '../panels/sections';
import { StatusItem } from '../panels/statusitem';
import { IPanels, IWorkspace } from '../tokens';

export const status: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:status',
  description: 'The state of the workspace in the status bar.',
  autoStart: true,
  requires: [IStatusBar, IWorkspace, IPanels],
  activate: (
    app: JupyterFrontEnd,
    bar: IStatusBar,
    workspace: IWorkspace,
    panels: IPanels
  ) => {
    bar.registerStatusItem('jupyter-mlops:status', {
      align: 'left',
      rank: 20,
      item: new StatusItem(workspace.view(OVERVIEW), panels, () => {
        void app.commands.execute(CommandIDs.showOverview);
      })
    });
  }
};
