import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';

import { CommandIDs } from '../commands';
import { mlopsIcon } from '../icons';
import { IPanels } from '../tokens';

export const kernels: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:kernels',
  description: 'Profiles data frames of running kernels without a cell.',
  autoStart: true,
  requires: [IPanels],
  optional: [INotebookTracker, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    panels: IPanels,
    tracker: INotebookTracker | null,
    palette: ICommandPalette | null
  ) => {
    const { trans } = panels.host;
    let open: MainAreaWidget | null = null;

    app.commands.addCommand(CommandIDs.profileVariable, {
      label: trans.__('Profile a Variable…'),
      caption: trans.__(
        'Choose a data frame of a running kernel; what the kernel does goes on'
      ),
      icon: mlopsIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        if (!open || open.isDisposed) {
          const path = tracker?.currentWidget?.context.path ?? '';
          const { Kernels } = await import('../kernels');
          const { KernelPanel } = await import('../panels/kernelpanel');
          const asked = new Kernels(app.serviceManager, trans);
          const content = new KernelPanel(asked, panels, path);
          open = new MainAreaWidget({ content });
          open.toolbar.hide();
          open.id = 'jupyter-mlops-variables';
          open.title.icon = mlopsIcon;
          open.title.closable = true;
          const isLab = app.name === 'JupyterLab';
          app.shell.add(open, isLab ? 'main' : 'right');
        }
        app.shell.activateById(open.id);
      }
    });
    palette?.addItem({
      command: CommandIDs.profileVariable,
      category: trans.__('MLOps')
    });
  }
};
