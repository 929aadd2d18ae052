import React from 'react';

import { scalarText } from '../format';
import type { Block, IExplorer, Row } from '../views';
import { blocksOf, valueOf } from '../views';
import { Failure } from './blocks';
import { Cell } from './cells';
import { ConditionBox } from './condition';
import { useHost } from './host';
import { Pager, usePages } from './pager';
import { Prose, Titled } from './section';
import type { ISort } from './table';
import { arrange, Head, WORTH_FILTERING } from './table';
import { useDetail, useRemoteRows } from './useexplorer';

/** Names that a search finds beyond the rows that are here. */
const NAMED = 12;

/** A table that can be searched, sorted and paged, and whose rows open. */
export function ExplorerBlock(props: {
  block: IExplorer;
  Opened: React.ComponentType<{ blocks: readonly Block[] }>;
}): React.JSX.Element {
  const { block, Opened } = props;
  const { trans, pageSize } = useHost();
  const [sort, setSort] = React.useState<ISort | null>(null);
  const [filter, setFilter] = React.useState('');
  const [open, setOpen] = React.useState<ReadonlySet<string>>(new Set());
  const arrangement = `${filter}\n${JSON.stringify(sort)}`;
  const local = React.useMemo(
    () => arrange(block, filter, sort),
    [block, filter, sort]
  );
  const [page, setPage] = React.useState({ arrangement, page: 0 });
  const wanted = page.arrangement === arrangement ? page.page : 0;
  const remote = useRemoteRows(block, filter, sort, wanted, pageSize);
  const count = remote ? remote.total : local.length;
  const pages = usePages(count, arrangement, {
    page: wanted,
    turn: to => {
      setPage({ arrangement, page: to });
    }
  });
  if (!block.total) {
    return (
      <Titled title={block.title}>
        <p className="jp-mlops-Empty">
          <Prose text={block.empty ?? trans.__('Nothing here yet.')} />
        </p>
      </Titled>
    );
  }
  const rows = remote ? remote.rows : local.slice(pages.start, pages.end);
  const toggle = (key: string): void => {
    const next = new Set(open);
    if (!next.delete(key)) {
      next.add(key);
    }
    setOpen(next);
  };
  return (
    <Titled
      title={block.title}
      aside={
        block.total > WORTH_FILTERING || block.condition ? (
          block.condition ? (
            <ConditionBox example={block.condition} onChange={setFilter} />
          ) : (
            <input
              type="search"
              className="jp-mlops-Filter"
              data-lm-suppress-shortcuts="true"
              aria-label={trans.__('Search columns')}
              placeholder={trans.__('Search')}
              value={filter}
              onChange={event => {
                setFilter(event.target.value);
              }}
            />
          )
        ) : null
      }
    >
      {remote?.failure ? <Failure reason={remote.failure} /> : null}
      <div
        className="jp-mlops-Scroll"
        role="region"
        aria-label={block.title ? block.title : trans.__('Table')}
        aria-busy={remote?.isLoading ?? false}
        tabIndex={0}
      >
        <table className="jp-mlops-Table jp-mlops-Explorer">
          <thead>
            <tr>
              {block.columns.map(column => (
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
            {rows.map((row, place) => {
              const key = scalarText(valueOf(row, 'key'));
              return (
                <ExplorerRow
                  key={`${key}-${place}`}
                  block={block}
                  row={row}
                  rowKey={key}
                  isOpen={open.has(key)}
                  onToggle={() => {
                    toggle(key);
                  }}
                  Opened={Opened}
                />
              );
            })}
            {rows.length ? null : (
              <tr>
                <td colSpan={block.columns.length}>
                  {remote?.isLoading
                    ? trans.__('Loading…')
                    : block.condition
                      ? trans.__('Nothing fulfils this.')
                      : trans.__('No column holds these words.')}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      <Pager pages={pages} count={count} />
      {remote ? null : (
        <Elsewhere block={block} filter={filter} shown={local} />
      )}
    </Titled>
  );
}

function ExplorerRow(props: {
  block: IExplorer;
  row: Row;
  rowKey: string;
  isOpen: boolean;
  onToggle: () => void;
  Opened: React.ComponentType<{ blocks: readonly Block[] }>;
}): React.JSX.Element {
  const { block, row, rowKey, isOpen, onToggle, Opened } = props;
  const { ask } = useHost();
  const kept = Object.hasOwn(block.details ?? {}, rowKey);
  const canOpen = kept || Boolean(ask && block.detail);
  return (
    <>
      <tr data-open={isOpen}>
        {block.columns.map((column, place) => {
          const content = (
            <Cell
              kind={column.kind ?? 'text'}
              value={valueOf(row, column.key)}
              digits={column.digits}
            />
          );
          return place === 0 ? (
            <th key={column.key} scope="row" data-align={column.align}>
              {canOpen ? (
                <button
                  type="button"
                  className="jp-mlops-Opener"
                  aria-expanded={isOpen}
                  onClick={onToggle}
                >
                  <span aria-hidden="true">{isOpen ? '▾' : '▸'}</span>
                  <span>{content}</span>
                </button>
              ) : (
                content
              )}
            </th>
          ) : (
            <td
              key={column.key}
              data-align={column.align}
              data-kind={column.kind}
            >
              {content}
            </td>
          );
        })}
      </tr>
      {isOpen ? (
        <tr className="jp-mlops-Opened">
          <td colSpan={block.columns.length}>
            <Detail block={block} rowKey={rowKey} Opened={Opened} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

function Detail(props: {
  block: IExplorer;
  rowKey: string;
  Opened: React.ComponentType<{ blocks: readonly Block[] }>;
}): React.JSX.Element {
  const { block, rowKey, Opened } = props;
  const { trans } = useHost();
  const kept = Object.hasOwn(block.details ?? {}, rowKey)
    ? blocksOf(block.details?.[rowKey])
    : null;
  const { blocks, failure } = useDetail(block, rowKey);
  const shown = blocks ?? kept;
  return (
    <div className="jp-mlops-Detail">
      {shown ? (
        <Opened blocks={shown} />
      ) : failure ? (
        <Failure reason={failure} />
      ) : (
        <p className="jp-mlops-Aside" role="status">
          {trans.__('Loading…')}
        </p>
      )}
    </div>
  );
}

/** What isn't kept in a notebook: how much it is, and what of it a search names. */
function Elsewhere(props: {
  block: IExplorer;
  filter: string;
  shown: readonly Row[];
}): React.JSX.Element | null {
  const { block, filter, shown } = props;
  const { trans } = useHost();
  if (block.total <= block.rows.length) {
    return null;
  }
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const here = new Set(block.rows.map(row => valueOf(row, 'name')));
  const named = words.length
    ? (block.names ?? '')
        .split('\n')
        .filter(
          name =>
            !here.has(name) &&
            words.every(word => name.toLowerCase().includes(word))
        )
    : [];
  const more = named.length - NAMED;
  return (
    <p className="jp-mlops-Aside">
      {named.length
        ? trans.__(
            'Also in the table: %1',
            named.slice(0, NAMED).join(', ') +
              (more > 0 ? trans.__(' and %1 more', more) : '')
          )
        : shown.length
          ? trans.__(
              'The notebook keeps %1 of %2 columns; where its workspace is, all can be opened.',
              block.rows.length.toLocaleString('en-US'),
              block.total.toLocaleString('en-US')
            )
          : null}
    </p>
  );
}
