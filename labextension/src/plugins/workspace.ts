import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import { IWorkspace } from '../tokens';
import { Workspace } from '../workspace';

export const workspace: JupyterFrontEndPlugin<IWorkspace> = {
  id: 'jupyter-mlops:workspace',
  description: 'Follows the workspace that the server keeps.',
  autoStart: true,
  provides: IWorkspace,
  activate: (app: JupyterFrontEnd): IWorkspace =>
    new Workspace(app.serviceManager)
};
