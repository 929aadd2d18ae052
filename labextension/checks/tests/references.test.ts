import { describe, expect, it } from 'vitest';

import { concerns, keyOf, lineOf, queryOf } from '../../src/references';

describe('references lead to panels', () => {
  it('asks the verb that shows such a record', () => {
    expect(queryOf('data:flights@3')).toEqual({
      verb: 'data-show',
      args: { name: 'flights@3' }
    });
    expect(queryOf('drift:01a2')).toEqual({
      verb: 'checks',
      args: { name: 'drift:01a2' }
    });
    expect(queryOf('endpoint:delay')).toEqual({
      verb: 'endpoints',
      args: { name: 'delay' }
    });
  });

  it.each(['', 'flights', 'data:', 'constructor:x', '__proto__:x'])(
    'has no panel for %j',
    ref => {
      expect(queryOf(ref)).toBeNull();
    }
  );

  it('takes the same question for the same, whatever its order', () => {
    const one = keyOf({ verb: 'compare', args: { a: '1', b: '2' } });
    expect(keyOf({ verb: 'compare', args: { b: '2', a: '1' } })).toBe(one);
    expect(keyOf({ verb: 'compare', args: { a: '2', b: '1' } })).not.toBe(one);
  });

  it('writes the magic line, quoting what needs it', () => {
    expect(lineOf({ verb: 'data-show', args: { name: 'flights@3' } })).toBe(
      '%mlops data show flights@3'
    );
    expect(lineOf({ verb: 'profile', args: { source: 'my file.csv' } })).toBe(
      '%mlops profile "my file.csv"'
    );
  });

  it('leaves alone what shows another experiment than the trial is of', () => {
    const [one, other] = ['1'.repeat(32), '2'.repeat(32)];
    const query = { verb: 'experiment-show', args: { name: one } };
    expect(concerns(query, 'run.finished', one)).toBe(true);
    expect(concerns(query, 'run.finished', other)).toBe(false);
    expect(concerns(query, 'experiment.ended')).toBe(true);
    const named = { verb: 'experiment-show', args: { name: 'boosting' } };
    expect(concerns(named, 'run.finished', other)).toBe(true);
    const all = { verb: 'experiment-ls', args: {} };
    expect(concerns(all, 'run.finished', other)).toBe(true);
  });

  it('is asked again for what concerns it alone', () => {
    const endpoints = { verb: 'endpoints', args: {} };
    expect(concerns(endpoints, 'endpoint.ready')).toBe(true);
    expect(concerns(endpoints, 'dataset.added')).toBe(false);
    expect(concerns(endpoints, 'endpoint.traffic')).toBe(true);
    const status = { verb: 'status', args: {} };
    expect(concerns(status, 'anything.done')).toBe(true);
    expect(concerns(status, 'endpoint.traffic')).toBe(false);
    expect(concerns({ verb: 'drift', args: {} }, 'drift.checked')).toBe(false);
  });
});
