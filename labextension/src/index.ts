import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { kernels } from './plugins/kernels';
import { launcher } from './plugins/launcher';
import { notebook } from './plugins/notebook';
import { panels } from './plugins/panels';
import { renderer } from './plugins/renderer';
import { sidebar } from './plugins/sidebar';
import { status } from './plugins/status';
import { workspace } from './plugins/workspace';

export { IPanels, IWorkspace } from './tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  workspace,
  panels,
  sidebar,
  notebook,
  kernels,
  renderer,
  launcher,
  status
];

export default plugins;
