import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { Badge, Cell, levelOf, Reference } from '../components/cells';
import { useHost } from '../components/host';
import { scalarText } from '../format';
import type { LiveView } from '../live';
import type { IColumn, ITable, Row } from '../views';
import { itemsOf, valueOf } from '../views';
import { RefusalNotice } from './refusal';
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
  const count = table ? (table.total ?? table.rows.length) : null;
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
          {live.refusal ? <RefusalNotice refusal={live.refusal} /> : null}
          {live.view && !count ? (
            <Empty section={section} onInsert={onInsert} />
          ) : null}
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
  const { name, badge, more } = rolesOf(table.columns);
  const ref = scalarText(
    valueOf(row, 'ref') ?? (name?.kind === 'ref' ? valueOf(row, name.key) : '')
  );
  const state = badge ? valueOf(row, badge.key) : null;
  return (
    <li className="jp-mlops-Item">
      <span className="jp-mlops-Item-name">
        {ref ? (
          <Reference reference={ref} />
        ) : name ? (
          scalarText(valueOf(row, name.key))
        ) : null}
      </span>
      {more ? (
        <span className="jp-mlops-Item-more" title={more.label}>
          <Cell kind={more.kind ?? 'text'} value={valueOf(row, more.key)} />{' '}
          {more.kind === 'number' ? more.label.toLowerCase() : null}
        </span>
      ) : null}
      {typeof state === 'object' && state !== null && 'text' in state ? (
        <Badge
          text={scalarText(state.text)}
          level={levelOf('level' in state ? state.level : 'info')}
        />
      ) : null}
    </li>
  );
}

/** Which columns tell an item's name, its state, and one thing more. */
export function rolesOf(columns: readonly IColumn[]): {
  name: IColumn | undefined;
  badge: IColumn | undefined;
  more: IColumn | undefined;
} {
  const name = columns.find(one => one.kind === 'ref') ?? columns[0];
  const rest = columns.filter(one => one !== name);
  return {
    name,
    badge: rest.find(one => one.kind === 'badge'),
    more: rest.find(one => one.kind === 'number' || one.kind === 'percent')
  };
}
