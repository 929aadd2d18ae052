import React from 'react';

import { scalarText } from '../format';
import type { IPreview } from '../views';
import { useHost } from './host';
import { Pager, usePages } from './pager';
import { Titled } from './section';

/** A few rows of data as they are. */
export function PreviewBlock(props: { block: IPreview }): React.JSX.Element {
  const { block } = props;
  const { trans } = useHost();
  const pages = usePages(block.rows.length, '');
  const total = block.total ?? block.rows.length;
  return (
    <Titled>
      <div
        className="jp-mlops-Scroll"
        role="region"
        aria-label={trans.__('Sample of the data')}
        tabIndex={0}
      >
        <table className="jp-mlops-Table jp-mlops-Preview">
          <thead>
            <tr>
              {block.columns.map((name, place) => (
                <th key={place} scope="col">
                  {scalarText(name)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {block.rows.slice(pages.start, pages.end).map((row, place) => (
              <tr key={pages.start + place}>
                {block.columns.map((_, which) => (
                  <td key={which}>{scalarText(row[which])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pager pages={pages} count={block.rows.length} />
      {total > block.rows.length ? (
        <p className="jp-mlops-Aside">
          {trans.__(
            '%1 of %2 rows.',
            block.rows.length.toLocaleString('en-US'),
            total.toLocaleString('en-US')
          )}
        </p>
      ) : null}
    </Titled>
  );
}
