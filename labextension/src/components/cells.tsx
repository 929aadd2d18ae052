import React from 'react';

import { fixedText, percentText, scalarText, timeText } from '../format';
import { shortName } from '../references';
import type { CellKind, Level, Row } from '../views';
import { isServed, levelOf, valueOf } from '../views';
import { useHost } from './host';

/** One cell of a table, drawn as its column says. */
export function Cell(props: {
  kind: CellKind;
  value: unknown;
  /** How many decimals a number has. */
  digits?: number | null;
}): React.JSX.Element {
  const { kind, value, digits } = props;
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
      return typeof value === 'object' ? (
        <Bar
          fraction={Number(valueOf(value as Row, 'share'))}
          text={scalarText(valueOf(value as Row, 'text'))}
        />
      ) : (
        <Bar fraction={Number(value)} />
      );
    case 'spark':
      return <SparkCell value={value} />;
    case 'badge':
      return <BadgeCell value={value} />;
    case 'ref':
      return typeof value === 'object' ? (
        <Reference reference={scalarText(valueOf(value as Row, 'ref'))}>
          {scalarText(valueOf(value as Row, 'text'))}
        </Reference>
      ) : (
        <Reference reference={scalarText(value)} />
      );
    case 'link':
      return (
        <Outside
          text={scalarText(valueOf(value as Row, 'text'))}
          path={scalarText(valueOf(value as Row, 'path'))}
        />
      );
    case 'time':
      return <Time iso={scalarText(value)} />;
    default:
      return (
        <>
          {typeof value === 'number' && typeof digits === 'number'
            ? fixedText(value, digits)
            : scalarText(value)}
        </>
      );
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

/** A page that the server shows at a path below its own address; opens beside this one. */
export function Outside(props: {
  text: string;
  path: string;
}): React.JSX.Element {
  const { urlOf } = useHost();
  // Whatever sent the view: a link never leaves the server.
  if (!urlOf || !isServed(props.path)) {
    return <>{props.text}</>;
  }
  return (
    <a
      className="jp-mlops-Link"
      href={urlOf(props.path)}
      target="_blank"
      rel="noopener noreferrer"
    >
      {props.text}
    </a>
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
export function Bar(props: {
  fraction: number;
  text?: string;
}): React.JSX.Element {
  const { fraction, text } = props;
  if (!Number.isFinite(fraction)) {
    return <span className="jp-mlops-Cell-none">–</span>;
  }
  const width = 100 * Math.min(1, Math.max(0, fraction));
  return (
    <span className="jp-mlops-Bar">
      <span className="jp-mlops-Bar-track" aria-hidden="true">
        <span className="jp-mlops-Bar-fill" style={{ width: `${width}%` }} />
      </span>
      <span className="jp-mlops-Bar-text">{text ?? percentText(fraction)}</span>
    </span>
  );
}

const SPARK = { width: 84, height: 20, widest: 8 };

/** Bars, those of another table as a line over them, and what stands at their ends. */
function SparkCell(props: { value: unknown }): React.JSX.Element {
  const { value } = props;
  if (Array.isArray(value) || typeof value !== 'object' || value === null) {
    return <Spark values={numbersOf(value)} />;
  }
  const row = value as Row;
  const ends = valueOf(row, 'ends');
  const [low, high] = Array.isArray(ends) ? ends.map(scalarText) : [];
  return (
    <span className="jp-mlops-SparkCell">
      <Spark
        values={numbersOf(valueOf(row, 'values'))}
        against={numbersOf(valueOf(row, 'against'))}
      />
      {low !== undefined && high !== undefined ? (
        <span className="jp-mlops-SparkCell-ends">
          <span>{low}</span>
          <span>{high}</span>
        </span>
      ) : null}
    </span>
  );
}

function numbersOf(value: unknown): number[] {
  return Array.isArray(value)
    ? value.map(Number).map(one => (Number.isFinite(one) ? one : 0))
    : [];
}

/** A row of numbers as tiny columns. */
export function Spark(props: {
  values: readonly number[];
  against?: readonly number[];
}): React.JSX.Element {
  const { trans } = useHost();
  const { values, against = [] } = props;
  const top = Math.max(...values, ...against, 0);
  if (!values.length || top <= 0) {
    return <span className="jp-mlops-Cell-none">–</span>;
  }
  const width = Math.min(SPARK.width, SPARK.widest * values.length);
  const step = width / values.length;
  const highest = values.indexOf(Math.max(...values)) + 1;
  const high = (value: number): number =>
    Math.max(value > 0 ? 1 : 0, (SPARK.height * Math.max(0, value)) / top);
  const line = against
    .map((value, place) => {
      const y = Math.min(SPARK.height - 0.5, SPARK.height - high(value) + 0.5);
      return `${place ? 'L' : 'M'}${place * step},${y} H${(place + 1) * step}`;
    })
    .join(' ');
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
      {values.map((value, place) => (
        <rect
          key={place}
          x={place * step}
          y={SPARK.height - high(value)}
          width={Math.max(0.5, step - (step > 3 ? 1 : 0))}
          height={high(value)}
        />
      ))}
      {line ? <path d={line} /> : null}
    </svg>
  );
}
