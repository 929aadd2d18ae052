import type { TranslationBundle } from '@jupyterlab/translation';

import type { IQuery } from '../references';

/** One section of the sidebar: a list of records of one kind. */
export interface ISection {
  readonly id: string;
  readonly title: string;
  readonly query: IQuery;
  /** What to do when there is nothing yet. */
  readonly empty: string;
  /** The line that does it. */
  readonly line: string;
}

export const OVERVIEW: IQuery = { verb: 'status', args: {} };

/** The sections, in the order of a model's life. */
export function sections(trans: TranslationBundle): readonly ISection[] {
  return [
    {
      id: 'data',
      title: trans.__('Data'),
      query: { verb: 'data-ls', args: {} },
      empty: trans.__('No datasets yet. Add a file or a data frame:'),
      line: '%mlops data add flights flights.csv'
    },
    {
      id: 'labels',
      title: trans.__('Labels'),
      query: { verb: 'label-status', args: {} },
      empty: trans.__('No labeling tasks yet. Start one on a dataset:'),
      line: '%mlops label remarks flights --kind text --classes late,on-time'
    },
    {
      id: 'experiments',
      title: trans.__('Experiments'),
      query: { verb: 'runs', args: {} },
      empty: trans.__('No runs yet. Put this above a cell that fits a model:'),
      line: '%%mlops train delay --data flights'
    },
    {
      id: 'models',
      title: trans.__('Models'),
      query: { verb: 'models', args: {} },
      empty: trans.__('No models yet. Register the best run:'),
      line: '%mlops register delay delay'
    },
    {
      id: 'endpoints',
      title: trans.__('Endpoints'),
      query: { verb: 'endpoints', args: {} },
      empty: trans.__('Nothing is served yet. Serve a model:'),
      line: '%mlops serve delay@champion'
    }
  ];
}
