import { describe, expect, it } from 'vitest';

import { fixedText, numberText, percentText, timeText } from '../../src/format';

describe('numbers read the same as in the text rendering', () => {
  it.each([
    [336776, '336,776'],
    [0.52371, '0.5237'],
    [1234567.8, '1,234,568'],
    [0, '0'],
    [-2.5, '-2.5'],
    [0.0000123, '1.23e-05'],
    [Infinity, '∞'],
    [NaN, '–']
  ])('%s is %s', (value, text) => {
    expect(numberText(value)).toBe(text);
  });

  it.each([
    [0.0245, '2.5 %'],
    [0.00001, '<0.1 %'],
    [0, '0 %'],
    [1, '100 %']
  ])('the share %s is %s', (value, text) => {
    expect(percentText(value)).toBe(text);
  });

  it('writes as many decimals as a column wants', () => {
    expect(fixedText(0.5, 2)).toBe('0.50');
    expect(fixedText(-1234.56, 1)).toBe('-1,234.6');
    expect(fixedText(NaN, 2)).toBe('–');
  });

  it('writes times to the minute in UTC', () => {
    expect(timeText('2013-07-01T14:05:59+02:00')).toBe('2013-07-01 12:05');
    expect(timeText('2013-07-01T12:05:59')).toBe('2013-07-01 12:05');
    expect(timeText('soon')).toBe('soon');
  });
});
