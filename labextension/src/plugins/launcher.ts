import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from '../commands';
import { IPanels } from '../tokens';

export const launcher: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:launcher',
  description: 'The card in the launcher.',
  autoStart: true,
  requires: [ILauncher, IPanels],
  optional: [ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    cards: ILauncher,
    _panels: IPanels,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter-mlops');
    cards.add({
      command: CommandIDs.openList,
      args: { list: 'overview' },
      category: trans.__('Other'),
      rank: 1
    });
  }
};
