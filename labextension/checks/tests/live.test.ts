import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { LiveView } from '../../src/live';
import { Refusal } from '../../src/refusal';
import type { IView } from '../../src/views';

const QUERY = { verb: 'data-ls', args: {} };
const answer = (title: string): IView => ({ kind: 'x', title, blocks: [] });

describe('a live view', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('asks when someone looks, and not before', async () => {
    const ask = vi.fn(() => Promise.resolve(answer('first')));
    const live = new LiveView(QUERY, ask);
    live.touch();
    await vi.runAllTimersAsync();
    expect(ask).not.toHaveBeenCalled();
    live.watch();
    await vi.runAllTimersAsync();
    expect(live.view?.title).toBe('first');
  });

  it('answers a burst of events with one question', async () => {
    const ask = vi.fn(() => Promise.resolve(answer('x')));
    const live = new LiveView(QUERY, ask);
    live.watch();
    await vi.runAllTimersAsync();
    for (let i = 0; i < 50; i++) {
      live.touch();
    }
    await vi.runAllTimersAsync();
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it.each([
    [0, 24, 25],
    [500, 4, 5]
  ])(
    'follows events that go on and on, answers taking %i ms',
    async (takes, least, most) => {
      const ask = vi.fn(
        () =>
          new Promise<IView>(resolve => {
            setTimeout(() => {
              resolve(answer('x'));
            }, takes);
          })
      );
      const live = new LiveView(QUERY, ask);
      live.watch();
      await vi.runAllTimersAsync();
      await vi.advanceTimersByTimeAsync(5000);
      ask.mockClear();
      for (let elapsed = 0; elapsed < 10_000; elapsed += 5) {
        live.touch();
        await vi.advanceTimersByTimeAsync(5);
      }
      expect(ask.mock.calls.length).toBeGreaterThanOrEqual(least);
      expect(ask.mock.calls.length).toBeLessThanOrEqual(most);
    }
  );

  it('asks once when someone is about to look, and then does', async () => {
    const ask = vi.fn(() => Promise.resolve(answer('x')));
    const live = new LiveView(QUERY, ask);
    live.expect();
    live.watch();
    await vi.runAllTimersAsync();
    expect(ask).toHaveBeenCalledTimes(1);
  });

  it('asks at once when the first event comes after a while', async () => {
    const ask = vi.fn(() => Promise.resolve(answer('x')));
    const live = new LiveView(QUERY, ask);
    live.watch();
    await vi.runAllTimersAsync();
    await vi.advanceTimersByTimeAsync(5000);
    live.touch();
    await vi.advanceTimersByTimeAsync(250);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('asks once more when something changed while it was asking', async () => {
    let release: (view: IView) => void = () => undefined;
    const ask = vi
      .fn<() => Promise<IView>>()
      .mockImplementationOnce(
        () =>
          new Promise(resolve => {
            release = resolve;
          })
      )
      .mockResolvedValue(answer('new'));
    const live = new LiveView(QUERY, ask);
    live.watch();
    live.touch();
    await vi.runAllTimersAsync();
    release(answer('old'));
    await vi.runAllTimersAsync();
    expect(live.view?.title).toBe('new');
  });

  it('keeps what it showed when it is refused, and says why', async () => {
    const ask = vi
      .fn<() => Promise<IView>>()
      .mockResolvedValueOnce(answer('kept'))
      .mockRejectedValueOnce(new Refusal('the disk is full'));
    const live = new LiveView(QUERY, ask);
    await live.refresh();
    await live.refresh();
    expect(live.view?.title).toBe('kept');
    expect(live.refusal?.what).toBe('the disk is full');
  });

  it('rests once nobody looks any more', async () => {
    const ask = vi.fn(() => Promise.resolve(answer('x')));
    const live = new LiveView(QUERY, ask);
    const watch = live.watch();
    await vi.runAllTimersAsync();
    watch.dispose();
    live.touch();
    await vi.runAllTimersAsync();
    expect(ask).toHaveBeenCalledTimes(1);
  });
});
