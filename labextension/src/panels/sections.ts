import type { TranslationBundle } from '@jupyterlab/translation';

import type { IQuery } from '../references';
import type { ITable, IView } from '../views';

/** One section of the sidebar: the records of one part of a model's life. */
export interface ISection {
  readonly id: string;
  readonly title: string;
  /** Title of the overview's table that holds the section's records. */
  readonly table: string;
  /** The whole list. */
  readonly query: IQuery;
  /** What to do when there is nothing yet. */
  readonly empty: string;
  /** The line that does it. */
  readonly line: string;
}

/** The question that the sidebar and the status bar ask. */
export const OVERVIEW: IQuery = { verb: 'status', args: {} };

/** What data must be like: a list beside the sections. */
export const CONTRACTS: IQuery = { verb: 'contract-ls', args: {} };

/** Cells that were run once: a list beside that of experiments. */
export const RUNS: IQuery = { verb: 'runs', args: {} };

/** What experiments run on: lists beside that of experiments. */
export const CLUSTERS: IQuery = { verb: 'cluster-ls', args: {} };
export const GPUS: IQuery = { verb: 'gpu', args: {} };
export const ENVIRONMENTS: IQuery = { verb: 'env-ls', args: {} };

/** What flows through endpoints and models: lists beside theirs. */
export const STREAMS: IQuery = { verb: 'streams', args: {} };
export const PREDICTIONS: IQuery = { verb: 'predictions', args: {} };

/** What watches endpoints: lists beside theirs. */
export const ALERTS: IQuery = { verb: 'alerts', args: {} };
export const MONITORS: IQuery = { verb: 'monitors', args: {} };
export const CHECKS: IQuery = { verb: 'checks', args: {} };
export const CHANNELS: IQuery = { verb: 'channel-ls', args: {} };

/** What trains models again: lists beside theirs. */
export const POLICIES: IQuery = { verb: 'policies', args: {} };
export const DECISIONS: IQuery = { verb: 'decisions', args: {} };

/** The sections, in the order of a model's life. */
export function sections(trans: TranslationBundle): readonly ISection[] {
  return [
    {
      id: 'data',
      title: trans.__('Data'),
      table: 'Data',
      query: { verb: 'data-ls', args: {} },
      empty: trans.__('No datasets yet. Add a file or a data frame:'),
      line: '%mlops data add flights flights.csv'
    },
    {
      id: 'labels',
      title: trans.__('Labels'),
      table: 'Labels',
      query: { verb: 'label-status', args: {} },
      empty: trans.__('Nothing to label yet. Start a task on a dataset:'),
      line: '%mlops label remarks flights --kind text --classes late,on-time'
    },
    {
      id: 'experiments',
      title: trans.__('Experiments'),
      table: 'Experiments',
      query: { verb: 'experiment-ls', args: {} },
      empty: trans.__('No runs yet. Put this above a cell that fits a model:'),
      line: '%%mlops train delay --data flights --target late'
    },
    {
      id: 'models',
      title: trans.__('Models'),
      table: 'Models',
      query: { verb: 'models', args: {} },
      empty: trans.__('No models yet. Register a run:'),
      line: '%mlops register delay delay --alias champion'
    },
    {
      id: 'endpoints',
      title: trans.__('Endpoints'),
      table: 'Endpoints',
      query: { verb: 'endpoints', args: {} },
      empty: trans.__('Nothing is served yet. Serve a model:'),
      line: '%mlops serve delay@champion'
    }
  ];
}

/** A section's records in the overview. */
export function recordsOf(
  view: IView | null,
  section: Pick<ISection, 'table'>
): ITable | null {
  return (
    view?.blocks.find(
      (one): one is ITable =>
        one.type === 'table' && one.title === section.table
    ) ?? null
  );
}
