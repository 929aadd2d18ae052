import { cleanup, render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import React from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { IHost } from '../../src/components/host';
import { HostContext, PLAIN_HOST } from '../../src/components/host';
import { View } from '../../src/components/view';
import { Refusal } from '../../src/refusal';
import type { Block, IView } from '../../src/views';
import { readView } from '../../src/views';

afterEach(cleanup);

function show(blocks: unknown[], host: Partial<IHost> = {}): HTMLElement {
  const view = readView({
    kind: 'profile',
    title: 'flights@1',
    blocks
  }) as IView;
  return render(
    <HostContext.Provider value={{ ...PLAIN_HOST, ...host }}>
      <View view={view} />
    </HostContext.Provider>
  ).container;
}

const table = (count: number): Block => ({
  type: 'table',
  title: 'Columns',
  columns: [
    { key: 'name', label: 'Column' },
    { key: 'share', label: 'Missing', kind: 'bar' },
    { key: 'mean', label: 'Mean', kind: 'number', align: 'right' },
    { key: 'shape', label: 'Shape', kind: 'spark' },
    { key: 'advice', label: 'Advice', kind: 'badge' },
    { key: 'ref', label: 'Record', kind: 'ref' },
    { key: 'at', label: 'Added', kind: 'time' }
  ],
  rows: Array.from({ length: count }, (_, place) => ({
    name: `column${place}`,
    share: place / 100,
    mean: place === 1 ? null : 100 - place,
    shape: [1, 3, 2],
    advice: place ? null : { text: 'leakage', level: 'bad' },
    ref: `data:set${place}@1`,
    at: '2013-07-01T12:05:59+00:00'
  })),
  total: count + 1000
});

function firstColumn(): string[] {
  return screen
    .getAllByRole('rowheader')
    .map(header => header.textContent ?? '');
}

describe('tables', () => {
  it('turn pages', async () => {
    show([table(25)]);
    expect(firstColumn()).toHaveLength(10);
    await userEvent.click(screen.getByRole('button', { name: 'Next page' }));
    expect(firstColumn()[0]).toBe('column10');
    expect(screen.getByText('11–20 of 25')).toBeTruthy();
    expect(screen.getByText(/first 25 of 1,025/)).toBeTruthy();
  });

  it('sort up, down and back, what is missing always last', async () => {
    show([table(5)]);
    const sort = screen.getByRole('button', { name: /Mean/ });
    const header = screen.getByRole('columnheader', { name: /Mean/ });
    await userEvent.click(sort);
    expect(header.getAttribute('aria-sort')).toBe('ascending');
    expect(firstColumn()).toEqual([
      'column4',
      'column3',
      'column2',
      'column0',
      'column1'
    ]);
    await userEvent.click(sort);
    expect(firstColumn().at(-1)).toBe('column1');
    expect(firstColumn()[0]).toBe('column0');
    await userEvent.click(sort);
    expect(firstColumn()[1]).toBe('column1');
  });

  it('filter by all the words, from the first page on', async () => {
    show([table(25)]);
    await userEvent.click(screen.getByRole('button', { name: 'Next page' }));
    await userEvent.type(screen.getByRole('searchbox'), 'leakage column0');
    expect(firstColumn()).toEqual(['column0']);
  });

  it('open the record that a reference names', async () => {
    const open = vi.fn();
    show([table(1)], { open, canOpen: () => true });
    await userEvent.click(screen.getByRole('button', { name: 'set0@1' }));
    expect(open).toHaveBeenCalledWith('data:set0@1');
  });

  it('say what to do when they are empty', () => {
    show([
      { type: 'table', columns: [], rows: [], empty: 'Use `%mlops data add`.' }
    ]);
    expect(screen.getByText('%mlops data add').tagName).toBe('CODE');
  });

  it('take names such as constructor for data', () => {
    show([
      {
        type: 'table',
        columns: [
          { key: 'constructor', label: 'A' },
          { key: '__proto__', label: 'B' }
        ],
        rows: [{}]
      }
    ]);
    expect(screen.getByRole('rowheader').textContent).toBe('–');
  });
});

describe('actions', () => {
  const action = { label: 'Stop', verb: 'stop', args: { endpoint: 'delay' } };

  it('are set off once, and say why they failed', async () => {
    const act = vi.fn(() =>
      Promise.reject(
        new Refusal('no endpoint is called delay', '', 'use `%mlops endpoints`')
      )
    );
    show([{ type: 'actions', items: [action] }], { act });
    await userEvent.click(screen.getByRole('button', { name: 'Stop' }));
    expect(act).toHaveBeenCalledOnce();
    expect(screen.getByRole('alert').textContent).toContain(
      'No endpoint is called delay.'
    );
  });

  it('are left out where nothing can be set off', () => {
    show([{ type: 'actions', items: [action] }]);
    expect(screen.queryByRole('button')).toBeNull();
  });
});

describe('whatever comes', () => {
  it('is shown as text, never as markup', () => {
    const evil = '<img src=x onerror="window.pwned=1"><script>1</script>';
    const container = show([
      { type: 'notice', level: 'warn', text: evil, fix: evil },
      { type: 'facts', items: [{ label: evil, value: evil, hint: evil }] },
      { type: 'code', text: evil },
      { type: 'preview', columns: [evil], rows: [[evil]] }
    ]);
    expect(container.querySelector('img, script')).toBeNull();
    expect(container.textContent).toContain(evil);
  });

  it('gives no element an id or a name', () => {
    const container = show([table(3)]);
    expect(container.querySelector('[id], [name]')).toBeNull();
  });

  it('is left out when this version does not know it', () => {
    show([{ type: 'hologram' }, null, 3, { type: 'table' }, table(1)]);
    expect(firstColumn()).toEqual(['column0']);
  });

  it('is refused when it is no view', () => {
    expect(readView('x')).toBeNull();
    expect(readView({ title: 3, blocks: [] })).toBeNull();
    expect(readView({ title: 'x', blocks: {} })).toBeNull();
  });
});

describe('charts', () => {
  const chart = {
    type: 'chart',
    spec: {},
    alt: 'Most in July',
    png: 'iVBORw0'
  };

  it('are the picture that came along where nothing draws them', () => {
    show([chart]);
    const image = screen.getByRole('img', { name: 'Most in July' });
    expect(image.getAttribute('src')).toBe('data:image/png;base64,iVBORw0');
  });

  it('are a sentence where there is no picture', () => {
    show([{ ...chart, png: '' }]);
    expect(screen.getByText('Most in July')).toBeTruthy();
  });
});

it('has no accessibility violations', async () => {
  const container = show(
    [
      { type: 'facts', items: [{ label: 'Rows', value: '3', hint: 'all' }] },
      { type: 'notice', level: 'bad', text: 'Leakage.', fix: 'Drop it.' },
      table(25),
      { type: 'preview', columns: ['a'], rows: [['1']], total: 9 },
      { type: 'code', text: 'x = 1' },
      { type: 'actions', items: [{ label: 'Profile', verb: 'profile' }] }
    ],
    {
      act: () => Promise.resolve(),
      open: () => undefined,
      copy: () => undefined
    }
  );
  const { violations } = await axe.run(container, {
    rules: { 'color-contrast': { enabled: false } }
  });
  expect(violations.map(one => one.id)).toEqual([]);
  expect(within(container).getByRole('heading', { level: 2 })).toBeTruthy();
});

describe('frames', () => {
  const urlOf = (path: string): string => `/user/ada/${path}`;
  const frame = (path: string): unknown => ({
    type: 'frame',
    title: 'Report of delay',
    path
  });

  it('show what the server keeps, without its origin', () => {
    show([frame('mlops/api/reports/ab12')], { urlOf });
    const shown = screen.getByTitle('Report of delay');
    expect(shown.getAttribute('src')).toBe('/user/ada/mlops/api/reports/ab12');
    expect(shown.getAttribute('sandbox')).toBe('allow-scripts');
  });

  it('never leave the server', () => {
    for (const path of ['https://evil.example', '//evil', '../api', 'a?b']) {
      show([frame(path)], { urlOf });
    }
    expect(screen.queryByTitle('Report of delay')).toBeNull();
  });

  it('are left out where no server is at hand', () => {
    show([frame('mlops/api/reports/ab12')]);
    expect(screen.queryByTitle('Report of delay')).toBeNull();
  });
});

describe('ways out', () => {
  const facts = (path: string): Block => ({
    type: 'facts',
    items: [{ label: 'Dashboard', value: 'http://127.0.0.1:8787', path }]
  });
  const urlOf = (path: string): string => `/user/ada/${path}`;

  it('lead to pages that the server shows', () => {
    show(
      [
        facts('proxy/8787/status'),
        {
          type: 'table',
          columns: [{ key: 'name', label: 'Name' }, LINK],
          rows: [
            {
              name: 'one',
              at: { text: 'Open', path: 'proxy/8787/status' }
            },
            { name: 'two', at: { text: 'elsewhere', path: '' } },
            { name: 'three', at: null }
          ]
        }
      ],
      { urlOf }
    );
    const links = screen.getAllByRole('link');
    expect(links.map(one => one.textContent)).toEqual([
      'http://127.0.0.1:8787',
      'Open'
    ]);
    for (const one of links) {
      expect(one.getAttribute('href')).toBe('/user/ada/proxy/8787/status');
      expect(one.getAttribute('rel')).toBe('noopener noreferrer');
    }
    expect(screen.getByText('elsewhere').tagName).toBe('TD');
  });

  it('never lead off the server, and nowhere without one', () => {
    for (const path of [
      'https://evil.example',
      '//evil.example',
      '../../etc',
      'javascript:alert(1)'
    ]) {
      show([facts(path)], { urlOf });
    }
    show([facts('proxy/8787/status')]);
    expect(screen.queryAllByRole('link')).toEqual([]);
  });
});

const LINK = { key: 'at', label: 'Dashboard', kind: 'link' as const };
