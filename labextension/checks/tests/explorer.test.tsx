import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import React from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { IHost } from '../../src/components/host';
import { HostContext, PLAIN_HOST } from '../../src/components/host';
import { View } from '../../src/components/view';
import { progressText } from '../../src/format';
import type { IAsk, IView } from '../../src/views';
import { readView } from '../../src/views';

afterEach(cleanup);

function show(blocks: unknown[], host: Partial<IHost> = {}): HTMLElement {
  const view = readView({ kind: 'profile', title: 'flights@1', blocks });
  return render(
    <HostContext.Provider value={{ ...PLAIN_HOST, ...host }}>
      <View view={view as IView} />
    </HostContext.Provider>
  ).container;
}

const explorer = (count: number, total: number): Record<string, unknown> => ({
  type: 'explorer',
  title: 'Columns',
  columns: [
    { key: 'name', label: 'Column' },
    { key: 'spread', label: 'Distribution', kind: 'spark' },
    { key: 'strength', label: 'Strength', kind: 'bar' }
  ],
  rows: Array.from({ length: count }, (_, place) => ({
    key: String(place),
    name: `column${place}`,
    spread: { values: [1, 3], against: [2, 2], ends: ['≤ 0', '9'] },
    strength: { share: place / count, text: `0.${place} ± 0.01` }
  })),
  details: { '1': [{ type: 'facts', items: [{ label: 'Mean', value: '7' }] }] },
  total,
  names: Array.from({ length: total }, (_, at) => `column${at}`).join('\n'),
  pages: {
    verb: 'profile-columns',
    args: { ref: 'profile:1', sort: 'interest' }
  },
  detail: { verb: 'profile-column', args: { ref: 'profile:1' } }
});

const answer = (...blocks: unknown[]): Promise<IView> =>
  Promise.resolve(readView({ kind: 'x', title: 'x', blocks }) as IView);

describe('columns', () => {
  it('open to what the notebook keeps where nobody can be asked', async () => {
    show([explorer(3, 3)]);
    expect(screen.queryByRole('button', { name: 'column0' })).toBeNull();
    const opener = screen.getByRole('button', { name: 'column1' });
    await userEvent.click(opener);
    expect(opener.getAttribute('aria-expanded')).toBe('true');
    expect(screen.getByText('Mean')).toBeTruthy();
    await userEvent.click(opener);
    expect(screen.queryByText('Mean')).toBeNull();
  });

  it('name what is kept nowhere near when a search finds it', async () => {
    show([explorer(12, 500)]);
    expect(screen.getByText(/keeps 12 of 500 columns/)).toBeTruthy();
    await userEvent.type(screen.getByRole('searchbox'), 'column49');
    expect(
      screen.getByText(/Also in the table: column49, column490/)
    ).toBeTruthy();
  });

  it('ask the server for pages, order and search, and show only the last answer', async () => {
    const ask = vi.fn((query: IAsk) =>
      query.verb === 'profile-columns'
        ? answer({ ...explorer(1, 1), total: 37 })
        : answer({ type: 'notice', text: 'All of it.' })
    );
    show([explorer(12, 500)], { ask });
    expect(ask).not.toHaveBeenCalled();
    expect(screen.getByText('1–10 of 500')).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'Next page' }));
    await waitFor(() => {
      expect(ask).toHaveBeenCalledWith({
        verb: 'profile-columns',
        args: expect.objectContaining({ page: 2, sort: 'interest', size: 10 })
      });
    });
    await userEvent.type(screen.getByRole('searchbox'), 'late');
    await waitFor(() => {
      expect(ask).toHaveBeenLastCalledWith({
        verb: 'profile-columns',
        args: expect.objectContaining({ page: 1, search: 'late' })
      });
    });
    await screen.findByText('1–10 of 37');
    await userEvent.click(screen.getByRole('button', { name: 'column0' }));
    expect(await screen.findByText('All of it.')).toBeTruthy();
    expect(ask).toHaveBeenLastCalledWith({
      verb: 'profile-column',
      args: { ref: 'profile:1', position: '0' }
    });
  });
});

describe('findings', () => {
  const item = (level: string, place: number): Record<string, unknown> => ({
    level,
    subject: `column${place}`,
    finding: 'leakage',
    evidence: 'knows `late`',
    code: `df = df.drop(columns=["column${place}"])`
  });

  it('stand in groups, and their code is copied', async () => {
    const copy = vi.fn();
    const items = [
      item('info', 9),
      ...[1, 2, 3, 4, 5, 6].map(n => item('bad', n))
    ];
    show([{ type: 'findings', title: 'Advice', items }], { copy });
    const heads = screen.getAllByRole('heading', { level: 4 });
    expect(heads.map(one => one.textContent)).toEqual([
      'Act on6',
      'Good to know1'
    ]);
    expect(screen.queryByText('column6')).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Show all 6' }));
    expect(screen.getByText('column6')).toBeTruthy();
    await userEvent.click(screen.getAllByRole('button', { name: 'Copy' })[0]!);
    expect(copy).toHaveBeenCalledWith('df = df.drop(columns=["column1"])');
  });
});

describe('forms', () => {
  const form = (changes: boolean): Record<string, unknown> => ({
    type: 'form',
    submit: 'Save',
    verb: 'contract edit',
    args: { name: 'loans' },
    changes,
    fields: [
      { name: 'min', label: 'From', kind: 'number', value: '1' },
      { name: 'max', label: 'To', kind: 'number', value: '2' },
      { name: 'optional', label: 'Optional', kind: 'switch', value: 'false' }
    ]
  });

  it('send what was changed, numbers as numbers, and show progress', async () => {
    const act = vi.fn<NonNullable<IHost['act']>>((_, onProgress) => {
      onProgress?.({ type: 'progress', done: 5, total: 10, seconds: 1 });
      return new Promise(() => undefined);
    });
    show([form(true)], { act });
    await userEvent.clear(screen.getByLabelText('To'));
    await userEvent.type(screen.getByLabelText('To'), '1,500');
    await userEvent.click(screen.getByRole('button', { name: 'Save' }));
    expect(act.mock.calls[0]![0].args).toEqual({ name: 'loans', max: 1500 });
    const bar = await screen.findByRole('progressbar');
    expect(bar.getAttribute('aria-valuenow')).toBe('50');
  });

  it('send all that is filled in otherwise', async () => {
    const act = vi.fn<NonNullable<IHost['act']>>(() => Promise.resolve());
    show([form(false)], { act });
    await userEvent.clear(screen.getByLabelText('From'));
    await userEvent.click(screen.getByRole('button', { name: 'Save' }));
    expect(act.mock.calls[0]![0].args).toEqual({
      name: 'loans',
      max: 2,
      optional: false
    });
  });

  it('are left out where nothing can be set off', () => {
    show([form(true)]);
    expect(screen.queryByRole('textbox')).toBeNull();
  });
});

it('tells progress as the text rendering does', () => {
  expect(progressText(250_000, 1_000_000, 'rows', 2)).toBe(
    '25 % · 250,000 of 1,000,000 rows · 125,000 rows/s · 6 s left'
  );
  expect(progressText(250_000, null, 'rows', 2)).toBe(
    '250,000 rows · 125,000 rows/s'
  );
});

it('has no accessibility violations', async () => {
  const container = show(
    [
      explorer(12, 12),
      {
        type: 'distribution',
        ends: ['0', '9'],
        series: [
          { label: 'here', shares: [0.5, 0.5] },
          { label: 'there', shares: [0.1, 0.9] }
        ]
      },
      {
        type: 'distribution',
        labels: ['a', 'b'],
        series: [{ label: '', shares: [0.5, 0.5] }]
      },
      { type: 'progress', done: 1, total: 3 }
    ],
    { act: () => Promise.resolve() }
  );
  await userEvent.click(screen.getByRole('button', { name: 'column1' }));
  const { violations } = await axe.run(container, {
    rules: { 'color-contrast': { enabled: false } }
  });
  expect(violations.map(one => one.id)).toEqual([]);
  expect(container.querySelector('[id], [name]')).toBeNull();
});
