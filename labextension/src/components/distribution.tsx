import React from 'react';

import { percentText, scalarText } from '../format';
import type { IDistribution } from '../views';
import { useHost } from './host';
import { Titled } from './section';

const DRAWING = { width: 480, height: 110 };

/** How values are spread: a histogram with its ends, or a bar for each value. */
export function DistributionBlock(props: {
  block: IDistribution;
}): React.JSX.Element {
  const { block } = props;
  return (
    <Titled title={block.title}>
      {block.series.length > 1 ? <Legend block={block} /> : null}
      {block.labels?.length ? (
        <Bars block={block} labels={block.labels} />
      ) : (
        <Histogram block={block} />
      )}
      {block.note ? <p className="jp-mlops-Aside">{block.note}</p> : null}
    </Titled>
  );
}

function Legend(props: { block: IDistribution }): React.JSX.Element {
  return (
    <p className="jp-mlops-Legend">
      {props.block.series.map((one, place) => (
        <span key={place} data-side={place ? 'there' : 'here'}>
          {scalarText(one.label)}
        </span>
      ))}
    </p>
  );
}

function Histogram(props: { block: IDistribution }): React.JSX.Element {
  const { series, ends } = props.block;
  const { trans } = useHost();
  const [here, there] = series.map(one => one.shares.map(Number));
  const bars = here ?? [];
  const top = Math.max(...bars, ...(there ?? []), 0);
  const step = DRAWING.width / Math.max(1, bars.length);
  const high = (share: number): number =>
    top > 0 && share > 0 ? Math.max(2, (DRAWING.height * share) / top) : 0;
  const line = (there ?? [])
    .map((share, place) => {
      const y = DRAWING.height - high(share);
      return `${place ? 'L' : 'M'}${place * step},${y} H${(place + 1) * step}`;
    })
    .join(' ');
  const [low, upper] = [ends?.[0] ?? '', ends?.[1] ?? ''];
  return (
    <figure className="jp-mlops-Histogram">
      <svg
        viewBox={`0 0 ${DRAWING.width} ${DRAWING.height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={trans.__(
          'Distribution from %1 to %2, the highest bar %3',
          low,
          upper,
          percentText(top)
        )}
      >
        {bars.map((share, place) => (
          <rect
            key={place}
            x={place * step}
            y={DRAWING.height - high(share)}
            width={Math.max(1, step - (step > 4 ? 1.5 : 0))}
            height={high(share)}
          >
            <title>{percentText(share)}</title>
          </rect>
        ))}
        {there ? <path d={line} vectorEffect="non-scaling-stroke" /> : null}
      </svg>
      <figcaption>
        <span>{low}</span>
        <span>{upper}</span>
      </figcaption>
    </figure>
  );
}

function Bars(props: {
  block: IDistribution;
  labels: readonly string[];
}): React.JSX.Element {
  const { series } = props.block;
  const top = Math.max(...series.flatMap(one => one.shares.map(Number)), 0);
  const wide = (share: number): string =>
    `${top > 0 && share > 0 ? Math.max(0.5, (100 * share) / top) : 0}%`;
  return (
    <ul className="jp-mlops-Bars">
      {props.labels.map((label, place) => (
        <li key={place}>
          <span className="jp-mlops-Bars-label" title={scalarText(label)}>
            {scalarText(label) || '“”'}
          </span>
          <span className="jp-mlops-Bars-tracks" aria-hidden="true">
            {series.map((one, side) => (
              <span
                key={side}
                data-side={side ? 'there' : 'here'}
                style={{ width: wide(one.shares[place] ?? 0) }}
              />
            ))}
          </span>
          <span className="jp-mlops-Bars-share">
            {series.map(one => percentText(one.shares[place] ?? 0)).join(' · ')}
          </span>
        </li>
      ))}
    </ul>
  );
}
