import React from 'react';

import type { Block, IExplorer, Row } from '../views';
import { useHost } from './host';
import type { ISort } from './table';

/** Typing is over when nothing was typed for that long. */
const SETTLE = 250;

export interface IRemoteRows {
  readonly rows: readonly Row[];
  readonly total: number;
  readonly isLoading: boolean;
  readonly failure: unknown;
}

/**
 * Rows that a server is asked for, because a view holds only some of them.
 *
 * @returns null where all are here or nobody can be asked.
 */
export function useRemoteRows(
  block: IExplorer,
  search: string,
  sort: ISort | null,
  page: number,
  size: number
): IRemoteRows | null {
  const { ask } = useHost();
  const first: IRemoteRows = {
    rows: block.rows.slice(0, size),
    total: block.total,
    isLoading: false,
    failure: null
  };
  const [found, setFound] = React.useState<IRemoteRows | null>(null);
  const isPart = block.total > block.rows.length;
  const query =
    isPart || (block.condition && search.trim()) ? (block.pages ?? null) : null;
  const isAsIs = !search.trim() && !sort && page === 0;
  const key = JSON.stringify([query, search, sort, page, size]);
  React.useEffect(() => {
    if (!ask || !query || isAsIs) {
      setFound(null);
      return;
    }
    let isOvertaken = false;
    setFound(last => ({ ...(last ?? first), isLoading: true }));
    const timer = setTimeout(
      () => {
        const order = sort
          ? { sort: sort.key, descending: sort.isDescending }
          : {};
        ask({
          verb: query.verb,
          args: {
            ...query.args,
            ...order,
            [query.names?.search ?? 'search']: search,
            page: page + 1,
            size
          }
        }).then(
          view => {
            const table = view.blocks.find(one => one.type === 'explorer');
            if (!isOvertaken && table?.type === 'explorer') {
              const { rows, total } = table;
              setFound({ rows, total, isLoading: false, failure: null });
            }
          },
          (failure: unknown) => {
            if (!isOvertaken) {
              setFound({ rows: [], total: 0, isLoading: false, failure });
            }
          }
        );
      },
      search && !block.condition ? SETTLE : 0
    );
    return () => {
      isOvertaken = true;
      clearTimeout(timer);
    };
    // The key holds all that makes a difference, but that there are other rows by now.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [ask, key, block.rows]);
  return ask && query ? (found ?? first) : null;
}

/** All that is known of one row, asked for when it is opened. */
export function useDetail(
  block: IExplorer,
  rowKey: string
): { blocks: readonly Block[] | null; failure: unknown } {
  const { ask } = useHost();
  const [found, setFound] = React.useState<{
    blocks: readonly Block[] | null;
    failure: unknown;
  }>({ blocks: null, failure: null });
  const { detail } = block;
  const key = JSON.stringify([detail, rowKey]);
  React.useEffect(() => {
    if (!ask || !detail) {
      return;
    }
    let isGone = false;
    const name = detail.names?.position ?? 'position';
    const args = { ...detail.args, [name]: rowKey };
    ask({ verb: detail.verb, args }).then(
      view => {
        if (!isGone) {
          setFound({ blocks: view.blocks, failure: null });
        }
      },
      (failure: unknown) => {
        if (!isGone) {
          setFound({ blocks: null, failure });
        }
      }
    );
    return () => {
      isGone = true;
    };
    // The key holds all that makes a difference, but that there are other rows by now.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [ask, key, block.rows]);
  return found;
}
