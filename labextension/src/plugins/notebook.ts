import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs, describe, textArgument } from '../commands';

const LOAD = '%load_ext jupyter_mlops';

export const notebook: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:notebook',
  description:
    'Puts the line that shows the same as a panel into the notebook.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter-mlops');
    app.commands.addCommand(CommandIDs.insertLine, {
      label: trans.__('Insert Cell'),
      caption: () =>
        tracker.currentWidget
          ? trans.__(
              'Insert the line that shows this into %1',
              tracker.currentWidget.title.label
            )
          : trans.__('Open a notebook to insert the line that shows this'),
      describedBy: describe({ line: 'The %mlops line' }),
      isEnabled: () => tracker.currentWidget !== null,
      execute: args => {
        const panel = tracker.currentWidget;
        const model = panel?.content.model?.sharedModel;
        const line = textArgument(args, 'line');
        if (!panel || !model) {
          Notification.info(
            trans.__('Open a notebook first: the line is put into it.'),
            { autoClose: 5000 }
          );
          return;
        }
        if (!line) {
          return;
        }
        const isLoaded = model.cells.some(cell =>
          cell.getSource().includes(LOAD)
        );
        const place = panel.content.activeCellIndex + 1;
        const sources = isLoaded ? [line] : [LOAD, line];
        model.insertCells(
          place,
          sources.map(source => ({ cell_type: 'code', source }))
        );
        panel.content.activeCellIndex = place + sources.length - 1;
        app.shell.activateById(panel.id);
      }
    });
    const refresh = (): void => {
      app.commands.notifyCommandChanged(CommandIDs.insertLine);
    };
    tracker.currentChanged.connect(refresh, tracker);
  }
};
