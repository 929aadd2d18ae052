import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { Failure } from '../components/blocks';
import { Badge, levelOf, Reference } from '../components/cells';
import { useHost } from '../components/host';
import { numberText, scalarText } from '../format';
import type { LiveView } from '../live';
import { splitReference } from '../references';
import { NO_WORKSPACE } from '../refusal';
import type { IColumn, ITable, Level, Row } from '../views';
import { itemsOf, valueOf } from '../views';
import type { ISection } from './sections';
import { useLive } from './uselive';

/** A sidebar shows a few of each; the list has them all. */
const SHOWN = 6;

/** One kind of records: how many there are, the first of them, and the way to all. */
export function SectionView(props: {
  section: ISection;
  live: LiveView;
  isVisible: boolean;
  onOpenList: () => void;
  onInsert: ((line: string) => void) | null;
}): React.JSX.Element {
  const { section, live, isVisible, onOpenList, onInsert } = props;
  const { trans } = useHost();
  const [isOpen, setOpen] = React.useState(true);
  useLive(live, isVisible && isOpen);
  const table = live.view ? itemsOf(live.view) : null;
  const isNew = live.refusal?.code === NO_WORKSPACE;
  const count = table ? (table.total ?? table.rows.length) : isNew ? 0 : null;
  const Caret = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <section className="jp-mlops-Section" data-section={section.id}>
      <h3>
        <button
          type="button"
          className="jp-mlops-Section-head"
          aria-expanded={isOpen}
          onClick={() => {
            setOpen(!isOpen);
          }}
        >
          <Caret.react tag="span" className="jp-mlops-Section-caret" />
          <span className="jp-mlops-Section-title">{section.title}</span>
          {count !== null ? (
            <span
              className="jp-mlops-Count"
              aria-label={trans._n('%1 item', '%1 items', count)}
            >
              {count}
            </span>
          ) : null}
        </button>
      </h3>
      {isOpen ? (
        <div className="jp-mlops-Section-body">
          {live.refusal && !isNew ? <Failure reason={live.refusal} /> : null}
          {count === 0 ? <Empty section={section} onInsert={onInsert} /> : null}
          {table?.rows.length ? (
            <>
              <ul className="jp-mlops-Items" aria-label={section.title}>
                {table.rows.slice(0, SHOWN).map((row, place) => (
                  <Item key={place} table={table} row={row} />
                ))}
              </ul>
              <button
                type="button"
                className="jp-mlops-Link jp-mlops-Section-all"
                onClick={onOpenList}
              >
                {(count ?? 0) > SHOWN
                  ? trans.__('All %1', count)
                  : trans.__('Open as a table')}
              </button>
            </>
          ) : null}
        </div>
      ) : null}
    </section>
  );
}

function Empty(props: {
  section: ISection;
  onInsert: ((line: string) => void) | null;
}): React.JSX.Element {
  const { section, onInsert } = props;
  const { trans } = useHost();
  return (
    <div className="jp-mlops-Empty">
      <p>{section.empty}</p>
      <code>{section.line}</code>
      {onInsert ? (
        <button
          type="button"
          className="jp-mlops-Link"
          title={trans.__('Put this line into the notebook')}
          onClick={() => {
            onInsert(section.line);
          }}
        >
          {trans.__('Insert cell')}
        </button>
      ) : null}
    </div>
  );
}

/** One record: its name, its state, and one more thing to tell it by. */
function Item(props: { table: ITable; row: Row }): React.JSX.Element {
  const { table, row } = props;
  const { ref, name, state, more } = itemOf(table.columns, row);
  return (
    <li className="jp-mlops-Item">
      <span className="jp-mlops-Item-name">
        {ref ? <Reference reference={ref}>{name}</Reference> : name}
      </span>
      {more ? <span className="jp-mlops-Item-more">{more}</span> : null}
      {state ? <Badge text={state.text} level={state.level} /> : null}
    </li>
  );
}

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
  const first = columns.find(one => one.kind === 'ref') ?? columns[0];
  const shown = first ? valueOf(row, first.key) : null;
  const ref = first?.kind === 'ref' && shown ? scalarText(shown) : '';
  const short = ref ? splitReference(ref).name : scalarText(shown);
  // Records that are told apart by a number go by the name that a person gave them.
  const given = valueOf(row, 'name');
  const isNamed = typeof given === 'string' && given && !short.includes(given);
  const badge = columns.find(one => one.kind === 'badge');
  const state = badge ? valueOf(row, badge.key) : null;
  const number = columns.find(one => one.kind === 'number');
  const count = number ? valueOf(row, number.key) : null;
  const aliases = valueOf(row, 'aliases');
  let more = '';
  if (isNamed) {
    more = short;
  } else if (typeof aliases === 'string' && aliases) {
    more = aliases;
  } else if (number && typeof count === 'number') {
    more = `${numberText(count)} ${number.label.toLowerCase()}`;
  }
  return {
    ref,
    name: isNamed ? given : short,
    more,
    state:
      typeof state === 'object' && state !== null && 'text' in state
        ? {
            text: scalarText(state.text),
            level: levelOf('level' in state ? state.level : 'info')
          }
        : null
  };
}
