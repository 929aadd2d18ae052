import { scalarText } from '../format';
import { shortName, splitReference } from '../references';
import type { IColumn, IView, Level, Row } from '../views';
import { levelOf, valueOf } from '../views';
import { recordsOf } from './sections';

/** What a list's row says of its record, in a line. */
export function itemOf(
  columns: readonly IColumn[],
  row: Row
): {
  ref: string;
  name: string;
  more: string;
  state: { text: string; level: Level } | null;
} {
  const first = columns.find(one => one.kind === 'ref');
  const ref = first ? scalarText(valueOf(row, first.key)) : '';
  const badge = columns.find(one => one.kind === 'badge');
  const value = badge ? valueOf(row, badge.key) : null;
  const state =
    typeof value === 'object' && value !== null && 'text' in value
      ? {
          text: scalarText(value.text),
          level: levelOf('level' in value ? value.level : 'info')
        }
      : null;
  const short = shortName(ref);
  const label = valueOf(row, 'label');
  if (state && typeof label === 'string' && label) {
    // Records with ids; a person knows them by the names they were given.
    const given = valueOf(row, 'short');
    const text = typeof given === 'string' && given ? given : state.text;
    const more = valueOf(row, 'more');
    return {
      ref,
      name: label,
      more: typeof more === 'string' && more ? more : short,
      state: { ...state, text }
    };
  }
  const given = state?.text.lastIndexOf(' ') ?? -1;
  if (state && given > 0 && splitReference(ref).kind === 'run') {
    // Runs have ids; a person knows them by the name that stands with their state.
    const name = state.text.slice(0, given);
    const text = state.text.slice(given + 1);
    return { ref, name, more: short, state: { ...state, text } };
  }
  return { ref, name: short, more: '', state };
}

/** What runs, what is served, and what wants a person, counted. */
export function countsOf(view: IView | null): {
  running: number;
  served: number;
  waiting: number;
} {
  const count = (table: string, ...levels: string[]): number =>
    (recordsOf(view, { table })?.rows ?? []).filter(row =>
      levels.includes(itemLevel(row))
    ).length;
  return {
    running: count('Experiments', 'info'),
    served: count('Endpoints', 'good'),
    waiting: count('Labels', 'warn', 'bad') + count('Endpoints', 'bad')
  };
}

function itemLevel(row: Row): string {
  const state = valueOf(row, 'state');
  return typeof state === 'object' && state !== null && 'level' in state
    ? String(state.level)
    : '';
}
