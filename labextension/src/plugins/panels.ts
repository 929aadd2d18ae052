import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { CommandIDs, describe, textArgument } from '../commands';
import { mlopsIcon } from '../icons';
import { Panels } from '../panels/panels';
import {
  ALERTS,
  CHANNELS,
  CHECKS,
  CLUSTERS,
  CONTRACTS,
  DECISIONS,
  ENVIRONMENTS,
  GPUS,
  MONITORS,
  OVERVIEW,
  POLICIES,
  PREDICTIONS,
  RUNS,
  STREAMS,
  sections
} from '../panels/sections';
import type { IQuery } from '../references';
import { keyOf } from '../references';
import { IPanels, IWorkspace } from '../tokens';

const ID = 'jupyter-mlops:panels';

export const panels: JupyterFrontEndPlugin<IPanels> = {
  id: ID,
  description:
    'Panels for datasets, runs, models, endpoints, drift and reports.',
  autoStart: true,
  provides: IPanels,
  requires: [IWorkspace],
  optional: [
    ITranslator,
    IRenderMimeRegistry,
    IThemeManager,
    ICommandPalette,
    ILayoutRestorer,
    ISettingRegistry
  ],
  activate: (
    app: JupyterFrontEnd,
    workspace: IWorkspace,
    translator: ITranslator | null,
    rendermime: IRenderMimeRegistry | null,
    themes: IThemeManager | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null
  ): IPanels => {
    const trans = (translator ?? nullTranslator).load('jupyter-mlops');
    const opener = new Panels(app, workspace, trans, rendermime, themes);
    const { commands } = app;
    const category = trans.__('MLOps');
    const lists = [
      ...sections(trans),
      { id: 'contracts', title: trans.__('Contracts'), query: CONTRACTS },
      { id: 'runs', title: trans.__('Runs'), query: RUNS },
      { id: 'clusters', title: trans.__('Clusters'), query: CLUSTERS },
      { id: 'gpus', title: trans.__('GPUs'), query: GPUS },
      {
        id: 'environments',
        title: trans.__('Environments'),
        query: ENVIRONMENTS
      },
      { id: 'streams', title: trans.__('Streams'), query: STREAMS },
      {
        id: 'predictions',
        title: trans.__('Batch Predictions'),
        query: PREDICTIONS
      },
      { id: 'alerts', title: trans.__('Alerts'), query: ALERTS },
      { id: 'monitors', title: trans.__('Monitors'), query: MONITORS },
      { id: 'checks', title: trans.__('Drift Checks'), query: CHECKS },
      {
        id: 'channels',
        title: trans.__('Channels of Alerts'),
        query: CHANNELS
      },
      { id: 'policies', title: trans.__('Policies'), query: POLICIES },
      { id: 'decisions', title: trans.__('Decisions'), query: DECISIONS }
    ];

    commands.addCommand(CommandIDs.openList, {
      label: args =>
        lists.find(one => one.id === textArgument(args, 'list'))?.title ??
        trans.__('MLOps Overview'),
      caption: trans.__('Open a list of the workspace in a panel'),
      icon: mlopsIcon,
      describedBy: describe(
        {
          list: 'data, contracts, labels, experiments, runs, clusters, gpus, environments, models, endpoints, streams, predictions, alerts, monitors, checks, channels, policies, decisions or overview'
        },
        []
      ),
      execute: args => {
        const list = textArgument(args, 'list');
        const query = lists.find(one => one.id === list)?.query ?? OVERVIEW;
        opener.openQuery(query);
      }
    });

    commands.addCommand(CommandIDs.openReference, {
      label: trans.__('Open Record'),
      caption: trans.__('Open the panel of a record by its reference'),
      describedBy: describe({ ref: 'A reference such as endpoint:delay' }),
      execute: args => {
        opener.openReference(textArgument(args, 'ref'));
      }
    });

    commands.addCommand(CommandIDs.openQuery, {
      label: trans.__('Open Answer'),
      caption: trans.__('Open the panel that answers a query'),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            verb: { type: 'string', description: 'The verb to ask' },
            args: { type: 'object', description: 'Its arguments by name' }
          },
          required: ['verb']
        }
      },
      execute: args => {
        opener.openQuery(readQuery(args));
      }
    });

    commands.addCommand(CommandIDs.openReport, {
      label: trans.__('Open Report'),
      caption: trans.__('Open a stored report in a frame of its own'),
      describedBy: describe({ id: 'The report’s id' }),
      execute: args => {
        opener.openReport(textArgument(args, 'id'));
      }
    });

    commands.addCommand(CommandIDs.openLabeler, {
      label: trans.__('Label'),
      caption: trans.__('Label the items of a task; no kernel is needed'),
      describedBy: describe({ task: 'The labeling task’s name' }),
      execute: args => {
        opener.openLabeler(textArgument(args, 'task'));
      }
    });

    commands.addCommand(CommandIDs.refreshViews, {
      label: trans.__('Refresh'),
      caption: trans.__('Ask the server again'),
      icon: refreshIcon,
      describedBy: describe({ key: 'One view; all of them when left out' }, []),
      execute: async args => {
        const key = textArgument(args, 'key');
        await opener.refresh(key);
      }
    });

    commands.addCommand(CommandIDs.stopEndpoint, {
      label: trans.__('Stop Endpoint'),
      caption: trans.__('Stop serving, after asking'),
      describedBy: describe({ endpoint: 'The endpoint’s name' }),
      execute: async args => {
        const endpoint = textArgument(args, 'endpoint');
        await opener.perform({
          label: trans.__('Stop'),
          verb: 'stop',
          args: { endpoint },
          confirm: trans.__(
            'Stop serving %1? Whoever calls it gets no answer from then on.',
            endpoint
          ),
          danger: true
        });
      }
    });

    for (const list of ['overview', ...lists.map(one => one.id)]) {
      palette?.addItem({
        command: CommandIDs.openList,
        category,
        args: { list }
      });
    }
    palette?.addItem({ command: CommandIDs.refreshViews, category });

    if (restorer) {
      void restorer.restore(opener.tracker, {
        command: CommandIDs.openQuery,
        args: ({ content }) => ({
          verb: content.live.query?.verb ?? '',
          args: { ...content.live.query?.args }
        }),
        name: ({ content }) =>
          content.live.query ? keyOf(content.live.query) : ''
      });
      // What was not saved yet is in the browser: the labeler sends it when it is back.
      void restorer.restore(opener.labelers, {
        command: CommandIDs.openLabeler,
        args: ({ content }) => ({ task: content.task }),
        name: ({ content }) => content.task
      });
    }

    if (settings) {
      const apply = (loaded: ISettingRegistry.ISettings): void => {
        opener.configure({
          pageSize: Number(loaded.get('rowsPerPage').composite) || 10,
          beside: loaded.get('openBeside').composite === true
        });
      };
      settings.load(ID).then(
        loaded => {
          apply(loaded);
          loaded.changed.connect(apply, opener);
        },
        () => {
          // Without its schema the defaults hold: a panel must not fail for that.
        }
      );
    }
    return opener;
  }
};

function readQuery(args: ReadonlyPartialJSONObject): IQuery {
  const given = Object.entries(args.args ?? {}).map(
    ([name, value]) => [name, String(value)] as const
  );
  return { verb: textArgument(args, 'verb'), args: Object.fromEntries(given) };
}
