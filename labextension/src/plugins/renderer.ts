import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IThemeManager } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { PLAIN_HOST } from '../components/host';
import { rendererFactory } from '../mime/renderer';
import { IPanels } from '../tokens';

export const renderer: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:renderer',
  description: 'Draws results below their cells as the panels do.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [IPanels, ITranslator, IThemeManager],
  activate: (
    _app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    panels: IPanels | null,
    translator: ITranslator | null,
    themes: IThemeManager | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter-mlops');
    const alone = { ...PLAIN_HOST, trans, rendermime, themes };
    rendermime.addFactory(rendererFactory(() => panels?.host ?? alone));
  }
};
