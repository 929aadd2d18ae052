import { cleanup, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import React from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { argumentsOf } from '../../src/components/form';
import { nextPlace } from '../../src/components/heat';
import type { IHost } from '../../src/components/host';
import { HostContext, PLAIN_HOST } from '../../src/components/host';
import { View } from '../../src/components/view';
import type { IForm, IView } from '../../src/views';
import { readView } from '../../src/views';

afterEach(cleanup);

function show(blocks: unknown[], host: Partial<IHost> = {}): HTMLElement {
  const view = readView({ kind: 'alerts', title: 'delay', blocks }) as IView;
  return render(
    <HostContext.Provider value={{ ...PLAIN_HOST, ...host }}>
      <View view={view} />
    </HostContext.Provider>
  ).container;
}

const heat = {
  type: 'heat',
  title: 'Feature by period',
  columns: [
    { label: '2026-03-02', hint: '420 rows', args: { since: 'monday' } },
    { label: '2026-03-09', hint: '0 rows' }
  ],
  rows: [
    {
      label: 'rain',
      levels: ['bad', null],
      values: [1.084, null],
      args: { feature: 'rain' }
    },
    {
      label: 'van',
      levels: ['good', null],
      values: [0, null],
      args: { feature: 'van' }
    }
  ],
  unit: 'PSI',
  words: { good: 'stable', bad: 'drifted' },
  detail: { verb: 'drift-feature', args: { endpoint: 'delay' } }
};

describe('a heat map', () => {
  const answer = readView({
    kind: 'drift-feature',
    title: 'rain',
    blocks: [{ type: 'notice', level: 'bad', text: 'It moved.' }]
  }) as IView;

  it('asks about the square that is chosen, and says its level without colour', async () => {
    const ask = vi.fn<NonNullable<IHost['ask']>>(() => Promise.resolve(answer));
    const container = show([heat], { ask });
    await userEvent.click(
      screen.getByRole('button', {
        name: 'rain, 2026-03-02: drifted, PSI 1.084, 420 rows'
      })
    );
    await screen.findByText('It moved.');
    expect(ask.mock.calls).toEqual([
      [
        {
          verb: 'drift-feature',
          args: { endpoint: 'delay', feature: 'rain', since: 'monday' }
        }
      ]
    ]);
    const { violations } = await axe.run(container);
    expect(violations).toEqual([]);
  });

  it('opens nothing where there is nothing, or nobody to ask', async () => {
    const ask = vi.fn<NonNullable<IHost['ask']>>(() => Promise.resolve(answer));
    show([heat], { ask });
    await userEvent.click(
      screen.getByRole('button', { name: 'rain, 2026-03-09: nothing, 0 rows' })
    );
    expect(ask).not.toHaveBeenCalled();
    cleanup();
    show([heat]);
    await userEvent.click(
      screen.getByRole('button', { name: /^van, 2026-03-02/ })
    );
    expect(screen.queryByText(/Loading/)).toBeNull();
  });

  it('is one stop of the keyboard, walked by arrows', async () => {
    show([heat]);
    await userEvent.tab();
    await userEvent.keyboard('{ArrowDown}{ArrowRight}');
    expect(document.activeElement?.getAttribute('aria-label')).toMatch(
      /^van, 2026-03-09/
    );
    await userEvent.keyboard('{ArrowRight}{Home}');
    expect(document.activeElement?.getAttribute('aria-label')).toMatch(
      /^van, 2026-03-02/
    );
    expect(nextPlace('End', { row: 1, column: 0 }, 7)).toEqual({
      row: 1,
      column: 7
    });
    expect(nextPlace('x', { row: 1, column: 0 }, 7)).toBeNull();
  });
});

describe('actions of a row', () => {
  const table = {
    type: 'table',
    columns: [
      { key: 'ref', label: 'Alert', kind: 'ref' },
      { key: 'do', label: '', kind: 'actions' }
    ],
    rows: [
      {
        ref: 'alert:1',
        do: [
          {
            label: 'Acknowledge',
            verb: 'alert ack',
            args: { alert: 'alert:1' }
          }
        ]
      },
      { ref: 'alert:2', do: null }
    ]
  };

  it('are set off in their list, which stays', async () => {
    const act = vi.fn<NonNullable<IHost['act']>>(() => Promise.resolve());
    const answer = vi.fn<NonNullable<IHost['answer']>>(() =>
      Promise.resolve(null)
    );
    const container = show([table], { act, answer });
    await userEvent.click(screen.getByRole('button', { name: 'Acknowledge' }));
    expect(answer.mock.calls[0]?.[0]).toMatchObject({
      verb: 'alert ack',
      args: { alert: 'alert:1' }
    });
    expect(act).not.toHaveBeenCalled();
    const { violations } = await axe.run(container);
    expect(violations).toEqual([]);
  });

  it('that only lead somewhere are followed', async () => {
    const answer = vi.fn<NonNullable<IHost['answer']>>(() =>
      Promise.resolve(null)
    );
    const follow = vi.fn<IHost['follow']>(() => true);
    show([table], { act: () => Promise.resolve(), answer, follow });
    await userEvent.click(screen.getByRole('button', { name: 'Acknowledge' }));
    expect(follow.mock.calls[0]?.[0]).toMatchObject({ verb: 'alert ack' });
    expect(answer).not.toHaveBeenCalled();
  });

  it('have no column where nothing can be set off', () => {
    show([table]);
    expect(screen.getAllByRole('columnheader')).toHaveLength(1);
  });
});

describe('a form of what is changed', () => {
  const form: IForm = {
    type: 'form',
    submit: 'Set',
    verb: 'retrain',
    changes: true,
    fields: [
      { name: 'gate', label: 'Must show', value: 'auc > 0.8', emptied: '' },
      {
        name: 'runs',
        label: 'Runs',
        kind: 'number',
        value: '3',
        emptied: '0'
      },
      { name: 'note', label: 'Note', value: 'kept' },
      { name: 'every', label: 'Every', value: '1d', emptied: '' }
    ]
  };

  it('says what was taken away, where that means something', () => {
    expect(
      argumentsOf(form, { gate: ' ', runs: '', note: '', every: '1d' })
    ).toEqual({ gate: '', runs: 0 });
  });
});
