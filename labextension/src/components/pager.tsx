import React from 'react';

import { useHost } from './host';

export interface IPages {
  readonly page: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
  readonly turn: (page: number) => void;
}

/**
 * Which rows are on the page that is open.
 *
 * @param count - How many rows there are.
 * @param arrangement - What orders them: when it changes the first page opens.
 * @param held - The page, where somebody else keeps it.
 */
export function usePages(
  count: number,
  arrangement: string,
  held?: { page: number; turn: (page: number) => void }
): IPages {
  const { pageSize } = useHost();
  const [open, setOpen] = React.useState({ arrangement, page: 0 });
  const last = Math.max(0, Math.ceil(count / pageSize) - 1);
  const wanted = held
    ? held.page
    : open.arrangement === arrangement
      ? open.page
      : 0;
  const page = Math.min(wanted, last);
  return {
    page,
    last,
    start: page * pageSize,
    end: Math.min(count, (page + 1) * pageSize),
    turn: to => {
      const target = Math.min(last, Math.max(0, to));
      if (held) {
        held.turn(target);
      } else {
        setOpen({ arrangement, page: target });
      }
    }
  };
}

/** Buttons to turn pages; nothing when there is one. */
export function Pager(props: {
  pages: IPages;
  count: number;
}): React.JSX.Element | null {
  const { pages, count } = props;
  const { trans } = useHost();
  if (!pages.last) {
    return null;
  }
  return (
    <div className="jp-mlops-Pager" role="group" aria-label={trans.__('Pages')}>
      <button
        type="button"
        className="jp-mlops-Button"
        disabled={pages.page === 0}
        aria-label={trans.__('Previous page')}
        onClick={() => {
          pages.turn(pages.page - 1);
        }}
      >
        ‹
      </button>
      <span aria-live="polite">
        {trans.__(
          '%1–%2 of %3',
          pages.start + 1,
          pages.end,
          count.toLocaleString('en-US')
        )}
      </span>
      <button
        type="button"
        className="jp-mlops-Button"
        disabled={pages.page === pages.last}
        aria-label={trans.__('Next page')}
        onClick={() => {
          pages.turn(pages.page + 1);
        }}
      >
        ›
      </button>
    </div>
  );
}
