import { describe, expect, it } from 'vitest';

import { countsOf, itemOf } from '../../src/panels/items';
import { recordsOf } from '../../src/panels/sections';
import type { IColumn, IView, Row } from '../../src/views';

const COLUMNS: IColumn[] = [
  { key: 'name', label: 'Name', kind: 'ref' },
  { key: 'state', label: 'State', kind: 'badge' }
];

function row(name: string, text: string, level: string): Row {
  return { name, state: { text, level } };
}

function overview(tables: Record<string, Row[]>): IView {
  return {
    kind: 'status',
    title: 'MLOps',
    blocks: Object.entries(tables).map(([title, rows]) => ({
      type: 'table',
      title,
      columns: COLUMNS,
      rows
    }))
  };
}

describe('an item of the sidebar', () => {
  it('goes by its name', () => {
    const item = itemOf(COLUMNS, row('data:flights', 'version 3', 'info'));
    expect(item).toMatchObject({ ref: 'data:flights', name: 'flights' });
    expect(item.state?.text).toBe('version 3');
  });

  it('of an experiment goes by its name, with how far it is', () => {
    const ref = `experiment:${'4707d79071437f30'.repeat(2)}`;
    const item = itemOf(COLUMNS, {
      ...row(ref, 'boosting running, 18 of 50 trials', 'info'),
      label: 'boosting',
      short: 'running',
      more: '18 of 50'
    });
    expect(item).toEqual({
      ref,
      name: 'boosting',
      more: '18 of 50',
      state: { text: 'running', level: 'info' }
    });
  });

  it('of a run goes by the name it was given, with the start of its id', () => {
    const ref = 'run:4707d79071437f30f68f5359b6b7a2fc';
    expect(itemOf(COLUMNS, row(ref, 'delay finished', 'good'))).toEqual({
      ref,
      name: 'delay',
      more: '4707d790',
      state: { text: 'finished', level: 'good' }
    });
  });

  it('takes a state it does not know for the mildest', () => {
    const item = itemOf(COLUMNS, row('endpoint:delay', 'odd', 'purple'));
    expect(item.state?.level).toBe('info');
    expect(itemOf(COLUMNS, { name: 'endpoint:delay' }).state).toBeNull();
  });
});

describe('the status bar', () => {
  it('counts what runs, what is served and what waits', () => {
    const view = overview({
      Labels: [row('label:remarks', '3 of 60', 'warn')],
      Experiments: [
        row('run:1', 'delay running', 'info'),
        row('run:2', 'delay finished', 'good')
      ],
      Endpoints: [
        row('endpoint:a', 'ready', 'good'),
        row('endpoint:b', 'failed', 'bad')
      ]
    });
    expect(countsOf(view)).toEqual({ running: 1, served: 1, waiting: 2 });
    expect(countsOf(null)).toEqual({ running: 0, served: 0, waiting: 0 });
  });

  it('finds no records where the overview has no such table', () => {
    expect(recordsOf(overview({}), { table: 'Data' })).toBeNull();
  });
});
