import React from 'react';

import { numberText, scalarText } from '../format';
import type { Block, IHeat, IHeatRow, Level } from '../views';
import { levelOf } from '../views';
import { Failure } from './blocks';
import { useHost } from './host';
import { Titled } from './section';

const LEVELS: readonly Level[] = ['info', 'good', 'warn', 'bad'];

/** Where a cell is. */
interface IPlace {
  row: number;
  column: number;
}

/** Squares by row and column; one that is chosen opens below, where there is a server. */
export function HeatBlock(props: {
  block: IHeat;
  /** Draws the blocks of an answer. */
  Opened: React.ComponentType<{ blocks: readonly Block[] }>;
}): React.JSX.Element {
  const { block, Opened } = props;
  const { trans, ask } = useHost();
  const [focus, setFocus] = React.useState<IPlace>({ row: 0, column: 0 });
  const [chosen, setChosen] = React.useState<IPlace | null>(null);
  const grid = React.useRef<HTMLTableElement>(null);
  const canOpen = Boolean(ask && block.detail);
  const answer = useAnswer(block, chosen);
  const words = block.words ?? {};
  const more = (block.total ?? 0) - block.rows.length;
  const move = (to: IPlace): void => {
    const place = {
      row: Math.min(Math.max(0, to.row), block.rows.length - 1),
      column: Math.min(Math.max(0, to.column), block.columns.length - 1)
    };
    setFocus(place);
    grid.current
      ?.querySelector<HTMLButtonElement>(
        `[data-place="${place.row}-${place.column}"]`
      )
      ?.focus();
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const to = nextPlace(event.key, focus, block.columns.length - 1);
    if (to) {
      event.preventDefault();
      move(to);
    }
  };
  const told = (row: IHeatRow, column: number): string => {
    const level = row.levels[column];
    const value = row.values[column];
    const { label = '', hint = '' } = block.columns[column] ?? {};
    const found = level
      ? [
          scalarText(words[levelOf(level)] ?? levelOf(level)),
          typeof value === 'number'
            ? `${block.unit ?? ''} ${numberText(value)}`.trim()
            : ''
        ]
      : [trans.__('nothing')];
    return `${scalarText(row.label)}, ${scalarText(label)}: ${[...found, scalarText(hint)].filter(Boolean).join(', ')}`;
  };
  return (
    <Titled title={block.title} aside={<Legend block={block} />}>
      <div className="jp-mlops-Heat-scroll">
        <table
          ref={grid}
          className="jp-mlops-Heat"
          role="grid"
          aria-label={block.title ? block.title : trans.__('Heat map')}
          data-lm-suppress-shortcuts="true"
          onKeyDown={onKeyDown}
        >
          <tbody>
            {block.rows.map((row, at) => (
              <tr key={at}>
                <th scope="row" title={scalarText(row.label)}>
                  {scalarText(row.label)}
                </th>
                {block.columns.map((_, column) => {
                  const level = row.levels[column];
                  const isChosen =
                    chosen?.row === at && chosen.column === column;
                  const text = told(row, column);
                  return (
                    <td key={column} aria-selected={isChosen}>
                      <button
                        type="button"
                        className="jp-mlops-Heat-cell"
                        data-place={`${at}-${column}`}
                        data-level={level ? levelOf(level) : 'none'}
                        tabIndex={
                          focus.row === at && focus.column === column ? 0 : -1
                        }
                        title={text}
                        aria-label={text}
                        aria-disabled={!canOpen || !level}
                        onFocus={() => {
                          setFocus({ row: at, column });
                        }}
                        onClick={() => {
                          if (canOpen && level) {
                            setChosen(isChosen ? null : { row: at, column });
                          }
                        }}
                      />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <td />
              <Ends block={block} />
            </tr>
          </tfoot>
        </table>
      </div>
      {more > 0 ? (
        <p className="jp-mlops-Aside">
          {trans.__('%1 more rows aren’t shown.', more.toLocaleString('en-US'))}
        </p>
      ) : null}
      {block.note ? <p className="jp-mlops-Aside">{block.note}</p> : null}
      {chosen ? (
        <section
          className="jp-mlops-Heat-detail"
          role="status"
          aria-label={told(block.rows[chosen.row] ?? EMPTY_ROW, chosen.column)}
        >
          <h4 className="jp-mlops-Heat-chosen">
            {scalarText(block.rows[chosen.row]?.label)}
            <span className="jp-mlops-View-subtitle">
              {trans.__(
                'from %1, %2',
                scalarText(block.columns[chosen.column]?.label),
                scalarText(block.columns[chosen.column]?.hint)
              )}
            </span>
          </h4>
          {answer.blocks ? (
            <Opened blocks={answer.blocks} />
          ) : answer.failure ? (
            <Failure reason={answer.failure} />
          ) : (
            <p className="jp-mlops-Aside">{trans.__('Loading…')}</p>
          )}
        </section>
      ) : canOpen ? (
        <p className="jp-mlops-Aside">
          {trans.__('Choose a square to see its distribution.')}
        </p>
      ) : null}
    </Titled>
  );
}

const EMPTY_ROW: IHeatRow = { label: '', levels: [], values: [] };

/** The columns' names, as many as there is room for. */
function Ends(props: { block: IHeat }): React.JSX.Element {
  const { columns } = props.block;
  // A name takes the room of some squares.
  const each = Math.max(5, Math.ceil(columns.length / 8));
  const spans = [];
  for (let at = 0; at < columns.length; at += each) {
    const room = Math.min(each, columns.length - at);
    spans.push(
      <td key={at} colSpan={room} className="jp-mlops-Heat-end">
        {room >= 3 || !at ? scalarText(columns[at]?.label) : ''}
      </td>
    );
  }
  return <>{spans}</>;
}

function Legend(props: { block: IHeat }): React.JSX.Element {
  const words = props.block.words ?? {};
  const seen = new Set(props.block.rows.flatMap(row => row.levels));
  return (
    <span className="jp-mlops-Heat-legend">
      {LEVELS.filter(one => words[one] && seen.has(one)).map(one => (
        <span key={one}>
          <span
            className="jp-mlops-Heat-sign"
            data-level={one}
            aria-hidden="true"
          />
          {scalarText(words[one])}
        </span>
      ))}
    </span>
  );
}

/** Where a key leads from a cell; null where it isn't ours. */
export function nextPlace(
  key: string,
  from: IPlace,
  last: number
): IPlace | null {
  switch (key) {
    case 'ArrowRight':
      return { ...from, column: from.column + 1 };
    case 'ArrowLeft':
      return { ...from, column: from.column - 1 };
    case 'ArrowDown':
      return { ...from, row: from.row + 1 };
    case 'ArrowUp':
      return { ...from, row: from.row - 1 };
    case 'Home':
      return { ...from, column: 0 };
    case 'End':
      return { ...from, column: last };
    default:
      return null;
  }
}

/** What the server says of the chosen cell. */
function useAnswer(
  block: IHeat,
  chosen: IPlace | null
): { blocks: readonly Block[] | null; failure: unknown } {
  const { ask } = useHost();
  const [blocks, setBlocks] = React.useState<readonly Block[] | null>(null);
  const [failure, setFailure] = React.useState<unknown>(null);
  // The same map comes anew with each answer of the server.
  const args =
    chosen && block.detail
      ? JSON.stringify({
          ...block.detail.args,
          ...block.rows[chosen.row]?.args,
          ...block.columns[chosen.column]?.args
        })
      : '';
  const verb = block.detail?.verb ?? '';
  React.useEffect(() => {
    setBlocks(null);
    setFailure(null);
    if (!args || !ask) {
      return;
    }
    let isGone = false;
    ask({ verb, args: JSON.parse(args) as Record<string, unknown> }).then(
      view => {
        if (!isGone) {
          setBlocks(view.blocks);
        }
      },
      (reason: unknown) => {
        if (!isGone) {
          setFailure(reason);
        }
      }
    );
    return () => {
      isGone = true;
    };
  }, [ask, verb, args]);
  return { blocks, failure };
}
