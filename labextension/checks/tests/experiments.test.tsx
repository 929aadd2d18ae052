import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import React from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { IHost } from '../../src/components/host';
import { HostContext, PLAIN_HOST } from '../../src/components/host';
import { View } from '../../src/components/view';
import { progressText } from '../../src/format';
import { Refusal } from '../../src/refusal';
import type { IAsk, IView } from '../../src/views';
import { readView } from '../../src/views';

afterEach(cleanup);

function Shown(props: {
  blocks: unknown[];
  host: Partial<IHost>;
}): React.JSX.Element {
  const { blocks, host } = props;
  const view = readView({ kind: 'experiment', title: 'boosting', blocks });
  return (
    <HostContext.Provider value={{ ...PLAIN_HOST, ...host }}>
      <View view={view as IView} />
    </HostContext.Provider>
  );
}

const trials = (
  numbers: readonly number[],
  total: number
): Record<string, unknown> => ({
  type: 'explorer',
  title: 'Trials',
  columns: [
    { key: 'number', label: 'Trial', kind: 'number' },
    { key: 'metrics.auc', label: 'auc', kind: 'number' }
  ],
  rows: numbers.map(number => ({
    key: String(number),
    number,
    'metrics.auc': number / 1000
  })),
  total,
  pages: {
    verb: 'experiment-show',
    args: { name: 'e' },
    names: { search: 'where' }
  },
  detail: {
    verb: 'experiment-show',
    args: { name: 'e' },
    names: { position: 'trial' }
  },
  condition: 'lr < 0.1'
});

const answer = (...blocks: unknown[]): Promise<IView> =>
  Promise.resolve(readView({ kind: 'x', title: 'x', blocks }) as IView);

describe('trials', () => {
  it('are chosen by a condition once it is written', async () => {
    const ask = vi.fn<(query: IAsk) => Promise<IView>>(() =>
      answer(trials([42], 1))
    );
    render(<Shown blocks={[trials([1, 2, 3], 3)]} host={{ ask }} />);
    const box = screen.getByRole('searchbox', { name: /lr < 0.1/ });
    await userEvent.type(box, 'depth > 6');
    expect(ask).not.toHaveBeenCalled();
    await userEvent.type(box, '{Enter}');
    await screen.findByRole('rowheader', { name: '42' });
    expect(ask.mock.calls[0]![0]).toEqual({
      verb: 'experiment-show',
      args: { name: 'e', where: 'depth > 6', page: 1, size: 10 }
    });
    await userEvent.clear(box);
    await screen.findByRole('rowheader', { name: '3' });
  });

  it('say in a sentence what is wrong with a condition', async () => {
    const ask = (): Promise<IView> =>
      Promise.reject(
        new Refusal("trials have no 'lrr'", '', "did you mean 'lr'?")
      );
    render(<Shown blocks={[trials([1, 2, 3], 3)]} host={{ ask }} />);
    await userEvent.type(screen.getByRole('searchbox'), 'lrr < 1{Enter}');
    await screen.findByText(/Trials have no 'lrr'/);
  });

  it('open to what the server knows of one', async () => {
    const ask = vi.fn<(query: IAsk) => Promise<IView>>(() =>
      answer({ type: 'facts', items: [{ label: 'Place', value: '1 of 3' }] })
    );
    render(<Shown blocks={[trials([7], 1)]} host={{ ask }} />);
    await userEvent.click(screen.getByRole('button', { name: /7/ }));
    await screen.findByText('1 of 3');
    expect(ask.mock.calls[0]![0].args).toEqual({ name: 'e', trial: '7' });
  });

  it('stay sorted as they were while the experiment goes on', async () => {
    const ask = vi.fn<(query: IAsk) => Promise<IView>>(() =>
      answer(trials([900, 800], 50))
    );
    const host = { ask };
    const { rerender } = render(
      <Shown blocks={[trials([1, 2], 50)]} host={host} />
    );
    await userEvent.click(screen.getByRole('button', { name: 'Trial' }));
    await screen.findByRole('rowheader', { name: '900' });
    ask.mockImplementation(() => answer(trials([901, 900], 51)));
    // A progress bar comes before the table, and another answer of the server.
    const bar = { type: 'progress', done: 1, total: 2, unit: 'trials' };
    rerender(<Shown blocks={[bar, trials([1, 2], 51)]} host={host} />);
    await screen.findByRole('rowheader', { name: '901' });
    expect(screen.queryByRole('rowheader', { name: '1' })).toBeNull();
  });
});

it('what is being filled in stays while the experiment goes on', async () => {
  const form = {
    type: 'form',
    submit: 'Enqueue',
    verb: 'experiment enqueue',
    args: { name: 'e' },
    fields: [{ name: 'params', label: 'Parameters' }]
  };
  const act = vi.fn<NonNullable<IHost['act']>>(() => Promise.resolve());
  const notice = { type: 'notice', text: 'One trial failed.' };
  const { rerender } = render(<Shown blocks={[form]} host={{ act }} />);
  await userEvent.type(screen.getByLabelText('Parameters'), 'lr=0.1');
  rerender(<Shown blocks={[notice, form]} host={{ act }} />);
  await userEvent.click(screen.getByRole('button', { name: 'Enqueue' }));
  expect(act.mock.calls[0]![0].args).toEqual({ name: 'e', params: 'lr=0.1' });
});

it('a cell can be put into the notebook where there is one', async () => {
  const code = { type: 'code', text: 'lr = 0.1', insert: true };
  const insert = vi.fn();
  const { rerender } = render(<Shown blocks={[code]} host={{ insert }} />);
  await userEvent.click(
    screen.getByRole('button', { name: 'Insert into the notebook' })
  );
  expect(insert).toHaveBeenCalledWith('lr = 0.1');
  rerender(<Shown blocks={[code]} host={{}} />);
  await waitFor(() => {
    expect(screen.queryByRole('button', { name: /Insert/ })).toBeNull();
  });
});

it.each([
  [3, 10, 90, null, '30 % · 3 of 10 trials · 2 trials/min · 4 min left'],
  [3, 10, 90, 20, '30 % · 3 of 10 trials · 2 trials/min · 20 s left'],
  [1, 100, 7200, null, '1 % · 1 of 100 trials · 0.5 trials/h · 198.0 h left'],
  [7, null, 3.5, null, '7 trials · 2 trials/s']
])(
  'tells the progress of %s of %s trials',
  (done, total, seconds, left, text) => {
    expect(progressText(done, total, 'trials', seconds, left)).toBe(text);
  }
);
