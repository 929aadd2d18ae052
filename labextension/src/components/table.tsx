import React from 'react';

import { percentText, scalarText } from '../format';
import { shortName } from '../references';
import type { IAction, IColumn, ITable, Row } from '../views';
import { valueOf } from '../views';
import { ActionsBlock } from './blocks';
import { Cell } from './cells';
import { useHost } from './host';
import { Pager, usePages } from './pager';
import { Prose, Titled } from './section';

export interface ISort {
  key: string;
  isDescending: boolean;
}

/** Filtering a handful of rows costs more than reading them. */
export const WORTH_FILTERING = 10;

/** Characters beyond which a cell holds a sentence, which wants room. */
const LONG = 60;

/** Characters beyond which a name, or a column's, takes more than one line. */
const WIDE = 24;

/** A table that can be sorted, filtered and paged with mouse and keyboard. */
export function TableBlock(props: { block: ITable }): React.JSX.Element {
  const { block } = props;
  const { trans, act } = useHost();
  const [sort, setSort] = React.useState<ISort | null>(null);
  const [filter, setFilter] = React.useState('');
  const columns = act
    ? block.columns
    : block.columns.filter(one => one.kind !== 'actions');
  const rows = React.useMemo(
    () => arrange(block, filter, sort),
    [block, filter, sort]
  );
  const pages = usePages(rows.length, `${filter}\n${JSON.stringify(sort)}`);
  if (!block.rows.length) {
    return (
      <Titled title={block.title}>
        <p className="jp-mlops-Empty">
          <Prose text={block.empty ?? trans.__('Nothing here yet.')} />
        </p>
      </Titled>
    );
  }
  const known = block.total ?? block.rows.length;
  return (
    <Titled
      title={block.title}
      aside={
        block.rows.length > WORTH_FILTERING ? (
          <input
            type="search"
            className="jp-mlops-Filter"
            aria-label={trans.__('Filter rows')}
            placeholder={trans.__('Filter')}
            value={filter}
            onChange={event => {
              setFilter(event.target.value);
            }}
          />
        ) : null
      }
    >
      <div
        className="jp-mlops-Scroll"
        role="region"
        aria-label={block.title ? block.title : trans.__('Table')}
        tabIndex={0}
      >
        <table className="jp-mlops-Table">
          <thead>
            <tr>
              {columns.map(column => (
                <Head
                  key={column.key}
                  column={column}
                  sort={sort}
                  onSort={setSort}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(pages.start, pages.end).map((row, place) => (
              <tr key={pages.start + place}>
                {columns.map((column, which) => {
                  const value = valueOf(row, column.key);
                  const content =
                    column.kind === 'actions' ? (
                      <RowActions value={value} />
                    ) : (
                      <Cell
                        kind={column.kind ?? 'text'}
                        value={value}
                        digits={column.digits}
                      />
                    );
                  return which === 0 ? (
                    <th
                      key={column.key}
                      scope="row"
                      data-align={column.align}
                      data-kind={column.kind}
                      data-long={shortName(plainText(value)).length > WIDE}
                    >
                      {content}
                    </th>
                  ) : (
                    <td
                      key={column.key}
                      data-align={column.align}
                      data-kind={column.kind}
                      data-long={
                        typeof value === 'string' && value.length > LONG
                      }
                    >
                      {content}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pager pages={pages} count={rows.length} />
      {known > block.rows.length ? (
        <p className="jp-mlops-Aside">
          {trans.__(
            'The first %1 of %2 are listed here.',
            block.rows.length.toLocaleString('en-US'),
            known.toLocaleString('en-US')
          )}
        </p>
      ) : null}
    </Titled>
  );
}

/** What can be done about a row; its list stays in sight. */
function RowActions(props: { value: unknown }): React.JSX.Element {
  const items = Array.isArray(props.value) ? (props.value as IAction[]) : [];
  return <ActionsBlock block={{ type: 'actions', items }} stays />;
}

/** A column's name, by which its rows are sorted. */
export function Head(props: {
  column: IColumn;
  sort: ISort | null;
  onSort: (sort: ISort | null) => void;
}): React.JSX.Element {
  const { column, sort, onSort } = props;
  const { trans } = useHost();
  if (column.kind === 'actions') {
    return <td />;
  }
  if (column.kind === 'spark') {
    return (
      <th scope="col" data-align={column.align}>
        {column.label}
      </th>
    );
  }
  const isSorted = sort?.key === column.key;
  const direction = !isSorted
    ? 'none'
    : sort.isDescending
      ? 'descending'
      : 'ascending';
  return (
    <th
      scope="col"
      data-align={column.align}
      data-long={column.label.length > WIDE}
      aria-sort={direction}
    >
      <button
        type="button"
        className="jp-mlops-Sort"
        title={trans.__('Sort by %1', column.label)}
        onClick={() => {
          onSort(
            !isSorted
              ? { key: column.key, isDescending: false }
              : sort.isDescending
                ? null
                : { key: column.key, isDescending: true }
          );
        }}
      >
        {column.label}
        <span className="jp-mlops-Sort-mark" aria-hidden="true">
          {isSorted ? (sort.isDescending ? '▾' : '▴') : ''}
        </span>
      </button>
    </th>
  );
}

/** The rows that hold the filter's words, in the order of a column. */
export function arrange(
  block: Pick<ITable, 'columns' | 'rows'>,
  filter: string,
  sort: ISort | null
): readonly Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = words.length
    ? block.rows.filter(row => {
        const text = block.columns
          .map(column => searchText(column, valueOf(row, column.key)))
          .join('\n')
          .toLowerCase();
        return words.every(word => text.includes(word));
      })
    : block.rows;
  if (!sort) {
    return kept;
  }
  const sign = sort.isDescending ? -1 : 1;
  return [...kept].sort((a, b) => {
    const [left, right] = [valueOf(a, sort.key), valueOf(b, sort.key)].map(
      sortValue
    );
    // What is missing stays last in both directions.
    if (left === null || right === null) {
      return left === right ? 0 : left === null ? 1 : -1;
    }
    return sign * compare(left, right);
  });
}

type Sortable = number | string | null | undefined;

function sortValue(value: unknown): Sortable {
  if (value === null || value === undefined) {
    return null;
  }
  if (typeof value === 'number') {
    return Number.isNaN(value) ? null : value;
  }
  if (typeof value === 'object' && 'share' in value) {
    return sortValue(value.share);
  }
  return plainText(value);
}

function compare(left: Sortable, right: Sortable): number {
  if (typeof left === 'number' && typeof right === 'number') {
    return left - right;
  }
  return String(left).localeCompare(String(right), undefined, {
    numeric: true
  });
}

function searchText(column: IColumn, value: unknown): string {
  if (column.kind === 'spark' || column.kind === 'actions') {
    return '';
  }
  return typeof value === 'number' &&
    (column.kind === 'percent' || column.kind === 'bar')
    ? percentText(value)
    : plainText(value);
}

function plainText(value: unknown): string {
  if (Array.isArray(value)) {
    return value.map(plainText).join(' ');
  }
  if (typeof value === 'object' && value !== null && 'text' in value) {
    return scalarText(value.text);
  }
  return scalarText(value);
}
