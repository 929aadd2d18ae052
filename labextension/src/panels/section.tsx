import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { Badge, Reference } from '../components/cells';
import { useHost } from '../components/host';
import type { IColumn, ITable, Row } from '../views';
import { itemOf } from './items';
import type { ISection } from './sections';

/** A sidebar shows a few of each; the list has them all. */
const SHOWN = 6;

/** One kind of records: how many there are, the newest of them, and the way to all. */
export function SectionView(props: {
  section: ISection;
  /** Null before the first answer. */
  records: ITable | null;
  onOpenList: () => void;
  onInsert: ((line: string) => void) | null;
  /** Another way to records of this kind. */
  more?: React.ReactNode;
}): React.JSX.Element {
  const { section, records, onOpenList, onInsert, more } = props;
  const { trans } = useHost();
  const [isOpen, setOpen] = React.useState(true);
  const count = records ? (records.total ?? records.rows.length) : null;
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
            <span className="jp-mlops-Count">{count}</span>
          ) : null}
        </button>
      </h3>
      {isOpen && records ? (
        <div className="jp-mlops-Section-body">
          {records.rows.length ? (
            <>
              <ul className="jp-mlops-Items" aria-label={section.title}>
                {records.rows.slice(0, SHOWN).map((row, place) => (
                  <Item key={place} columns={records.columns} row={row} />
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
          ) : (
            <Empty section={section} onInsert={onInsert} />
          )}
          {more}
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

/** One record: its name and its state. */
function Item(props: {
  columns: readonly IColumn[];
  row: Row;
}): React.JSX.Element {
  const { ref, name, more, state } = itemOf(props.columns, props.row);
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
