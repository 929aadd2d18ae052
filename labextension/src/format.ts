/**
 * How numbers, shares and times are written: the same as in the text and HTML renderings.
 */

const DIGITS = 4;

/**
 * Four significant digits, thousands separated; whole numbers in full.
 */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) {
    return value === Infinity ? '∞' : value === -Infinity ? '−∞' : '–';
  }
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1000) {
    return Math.round(value).toLocaleString('en-US');
  }
  if (size < 1e-4) {
    return value
      .toExponential(DIGITS - 1)
      .replace(/\.?0*e/, 'e')
      .replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(Number(value.toPrecision(DIGITS)));
}

/**
 * A number with so many decimals, thousands separated.
 */
export function fixedText(value: number, digits: number): string {
  return Number.isFinite(value)
    ? value.toLocaleString('en-US', {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits
      })
    : numberText(value);
}

/**
 * A share, precise enough to tell none from few.
 */
export function percentText(fraction: number): string {
  if (!Number.isFinite(fraction)) {
    return '–';
  }
  if (fraction === 0) {
    return '0 %';
  }
  if (fraction > 0 && fraction < 0.001) {
    return '<0.1 %';
  }
  return `${(100 * fraction).toFixed(fraction < 1 ? 1 : 0)} %`;
}

/**
 * A time to the minute, in UTC as it is stored.
 */
export function timeText(iso: string): string {
  const time = new Date(
    /Z$|[+-]\d\d:?\d\d$/.test(iso) || !iso.includes('T') ? iso : `${iso}Z`
  );
  if (Number.isNaN(time.getTime())) {
    return iso;
  }
  return time.toISOString().slice(0, 16).replace('T', ' ');
}

/**
 * Any scalar as text.
 */
export function scalarText(value: unknown): string {
  if (value === null || value === undefined) {
    return '–';
  }
  if (typeof value === 'number') {
    return numberText(value);
  }
  if (typeof value === 'string') {
    return value;
  }
  return JSON.stringify(value);
}

/**
 * How far something is, how fast it goes, and when it ends.
 *
 * @param remaining - Seconds until it ends, where that is known better than from the rate.
 */
export function progressText(
  done: number,
  total: number | null,
  unit: string,
  seconds: number,
  remaining: number | null = null
): string {
  const words = total
    ? [
        `${Math.round(100 * Math.min(1, done / total))} %`,
        `${wholeText(done)} of ${wholeText(total)} ${unit}`
      ]
    : [`${wholeText(done)} ${unit}`];
  let left = remaining;
  if (done > 0 && seconds > 0) {
    const rate = done / seconds;
    words.push(rateText(rate, unit));
    if (left === null && total && total > done) {
      left = (total - done) / rate;
    }
  }
  if (left) {
    words.push(`${leftText(left)} left`);
  }
  return words.join(' · ');
}

function wholeText(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** In the unit of time in which there is at least one. */
function rateText(rate: number, unit: string): string {
  const [much, per] =
    rate >= 1 ? [1, 's'] : rate * 60 >= 1 ? [60, 'min'] : [3600, 'h'];
  const often = rate * much;
  const text =
    often >= 10 ? wholeText(often) : String(Number(often.toPrecision(2)));
  return `${text} ${unit}/${per}`;
}

function leftText(seconds: number): string {
  if (seconds < 100) {
    return `${wholeText(seconds)} s`;
  }
  return seconds < 6000
    ? `${wholeText(seconds / 60)} min`
    : `${(seconds / 3600).toFixed(1)} h`;
}
