import React from 'react';

import { percentText, scalarText, timeText } from '../format';
import { shortName } from '../references';
import type { CellKind, Level } from '../views';
import { levelOf } from '../views';
import { useHost } from './host';

/** One cell of a table, drawn as its column says. */
export function Cell(props: {
  kind: CellKind;
  value: unknown;
}): React.JSX.Element {
  const { kind, value } = props;
  if (value === null || value === undefined) {
    // No badge is no news; a missing number is.
    return kind === 'badge' ? (
      <></>
    ) : (
      <span className="jp-mlops-Cell-none">–</span>
    );
  }
  switch (kind) {
    case 'percent':
      return <>{typeof value === 'number' ? percentText(value) : '–'}</>;
    case 'bar':
      return <Bar fraction={Number(value)} />;
    case 'spark':
      return <Spark values={Array.isArray(value) ? value.map(Number) : []} />;
    case 'badge':
      return <BadgeCell value={value} />;
    case 'ref':
      return <Reference reference={scalarText(value)} />;
    case 'time':
      return <Time iso={scalarText(value)} />;
    default:
      return <>{scalarText(value)}</>;
  }
}

/** A time, to the minute; the whole of it on hovering. */
export function Time(props: { iso: string }): React.JSX.Element {
  const { trans } = useHost();
  return (
    <time
      dateTime={props.iso}
      title={trans.__('%1 (UTC)', props.iso)}
      className="jp-mlops-Time"
    >
      {timeText(props.iso)}
    </time>
  );
}

/** A reference that opens its record's panel where there is one. */
export function Reference(props: {
  reference: string;
  children?: React.ReactNode;
}): React.JSX.Element {
  const { trans, open, canOpen } = useHost();
  const { reference } = props;
  const label = props.children ?? shortName(reference);
  if (!open || !canOpen(reference)) {
    return <span title={reference}>{label}</span>;
  }
  return (
    <button
      type="button"
      className="jp-mlops-Link"
      title={trans.__('Open %1', reference)}
      onClick={() => {
        open(reference);
      }}
    >
      {label}
    </button>
  );
}

/** A word with a colour; the word alone says it too. */
export function Badge(props: {
  text: string;
  level: Level;
}): React.JSX.Element {
  return (
    <span className="jp-mlops-Badge" data-level={props.level}>
      {props.text}
    </span>
  );
}

function BadgeCell(props: { value: unknown }): React.JSX.Element {
  const badges = Array.isArray(props.value) ? props.value : [props.value];
  return (
    <>
      {badges.map((badge: unknown, place) => {
        const one =
          typeof badge === 'object' && badge !== null
            ? (badge as Record<string, unknown>)
            : { text: badge };
        return (
          <Badge
            key={place}
            text={scalarText(one.text)}
            level={levelOf(one.level)}
          />
        );
      })}
    </>
  );
}

/** A share of a whole as a bar with its number. */
export function Bar(props: { fraction: number }): React.JSX.Element {
  const { fraction } = props;
  if (!Number.isFinite(fraction)) {
    return <span className="jp-mlops-Cell-none">–</span>;
  }
  const width = 100 * Math.min(1, Math.max(0, fraction));
  return (
    <span className="jp-mlops-Bar">
      <span className="jp-mlops-Bar-track" aria-hidden="true">
        <span className="jp-mlops-Bar-fill" style={{ width: `${width}%` }} />
      </span>
      <span className="jp-mlops-Bar-text">{percentText(fraction)}</span>
    </span>
  );
}

const SPARK = { width: 72, height: 18, widest: 8 };

/** A row of numbers as tiny columns. */
export function Spark(props: { values: readonly number[] }): React.JSX.Element {
  const { trans } = useHost();
  const values = props.values.map(one => (Number.isFinite(one) ? one : 0));
  const top = Math.max(...values, 0);
  if (!values.length || top <= 0) {
    return <span className="jp-mlops-Cell-none">–</span>;
  }
  const width = Math.min(SPARK.width, SPARK.widest * values.length);
  const step = width / values.length;
  const highest = values.indexOf(top) + 1;
  return (
    <svg
      className="jp-mlops-Spark"
      width={width}
      height={SPARK.height}
      viewBox={`0 0 ${width} ${SPARK.height}`}
      role="img"
      aria-label={trans.__(
        'Distribution in %1 steps, highest at %2',
        values.length,
        highest
      )}
    >
      {values.map((value, place) => {
        const height = Math.max(
          value > 0 ? 1 : 0,
          (SPARK.height * Math.max(0, value)) / top
        );
        return (
          <rect
            key={place}
            x={place * step}
            y={SPARK.height - height}
            width={Math.max(0.5, step - (step > 3 ? 1 : 0))}
            height={height}
          />
        );
      })}
    </svg>
  );
}
