import { cleanup, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import React from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { IHost } from '../../src/components/host';
import { HostContext, PLAIN_HOST } from '../../src/components/host';
import { View } from '../../src/components/view';
import { Refusal } from '../../src/refusal';
import type { IView } from '../../src/views';
import { readView } from '../../src/views';

afterEach(cleanup);

const viewOf = (kind: string, blocks: unknown[]): IView =>
  readView({ kind, title: 'delay', blocks }) as IView;

function show(blocks: unknown[], host: Partial<IHost> = {}): void {
  render(
    <HostContext.Provider value={{ ...PLAIN_HOST, ...host }}>
      <View view={viewOf('endpoint', blocks)} />
    </HostContext.Provider>
  );
}

const versions = viewOf('models', [
  {
    type: 'table',
    columns: [{ key: 'model', label: 'Model', kind: 'ref' }],
    rows: [
      { model: 'model:delay@4', aliases: 'challenger' },
      { model: 'model:delay@3', aliases: 'champion' }
    ]
  }
]);

const canary = (version: string, share: number) => ({
  type: 'canary',
  title: 'Canary',
  endpoint: 'delay',
  model: 'delay',
  primary: '3',
  version,
  share
});

describe('a canary', () => {
  const ask = vi.fn(() => Promise.resolve(versions));

  async function move(to: string, block: unknown) {
    const act = vi.fn<NonNullable<IHost['act']>>(() => Promise.resolve());
    show([block], { act, ask });
    await screen.findByRole('option', { name: '4 (challenger)' });
    const number = screen.getByRole('spinbutton');
    await userEvent.clear(number);
    await userEvent.type(number, to);
    await userEvent.click(screen.getByRole('button', { name: 'Apply' }));
    return act.mock.calls[0]?.[0];
  }

  it('begins with what was said', async () => {
    const action = await move('25', canary('', 0));
    expect(action?.args).toEqual({
      model: 'delay@3',
      name: 'delay',
      canary: '4:25%'
    });
    expect(action?.confirm).toBe(
      'Version 4 will answer 25 % of the requests, version 3 the others.'
    );
    expect(screen.getByText(String(action?.confirm))).toBeTruthy();
  });

  it('moves from a share to another', async () => {
    const action = await move('7', canary('4', 0.07 / 2));
    expect(action?.confirm).toBe(
      'Version 4 will answer 7 % of the requests instead of 3.5 %, version 3 the others.'
    );
    expect(action?.args).toMatchObject({ canary: '4:7%' });
  });

  it('takes over at a hundred, and is withdrawn at nothing', async () => {
    const over = await move('100', canary('4', 0.1));
    expect(over?.args).toEqual({ model: 'delay@4', name: 'delay' });
    cleanup();
    const gone = await move('0', canary('4', 0.1));
    expect(gone?.args).toMatchObject({ canary: 'off' });
    expect(gone?.danger).toBe(true);
  });

  it('changes nothing where nothing was moved', async () => {
    expect(await move('10', canary('4', 0.1))).toBeUndefined();
    expect(
      screen.getByText(
        'Version 4 answers 10 % of the requests, version 3 the others.'
      )
    ).toBeTruthy();
  });

  it('needs another version', async () => {
    const alone = viewOf('models', [
      {
        type: 'table',
        columns: [{ key: 'model', label: 'Model', kind: 'ref' }],
        rows: [{ model: 'model:delay@3', aliases: '' }]
      }
    ]);
    show([canary('', 0)], {
      act: () => Promise.resolve(),
      ask: () => Promise.resolve(alone)
    });
    await screen.findByText(/Only version 3 of delay is registered/);
    expect(screen.queryByRole('slider')).toBeNull();
  });
});

describe('a form that asks below itself', () => {
  const form = {
    type: 'form',
    title: 'Try it',
    submit: 'Predict',
    verb: 'endpoint try',
    args: { endpoint: 'delay' },
    into: 'row',
    inline: true,
    fields: [
      { name: 'hour', label: 'hour', kind: 'number', value: '17' },
      { name: 'id', label: 'id', kind: 'number', value: '9007199254740993' },
      { name: 'note', label: 'note' }
    ]
  };

  it('sends what was written as one object, and shows the answer', async () => {
    const answer = vi.fn<NonNullable<IHost['answer']>>(() =>
      Promise.resolve(
        viewOf('tried', [
          { type: 'facts', items: [{ label: 'Prediction', value: 'late' }] }
        ])
      )
    );
    const act = vi.fn(() => Promise.resolve());
    show([form], { act, answer });
    await userEvent.click(screen.getByRole('button', { name: 'Predict' }));
    await screen.findByText('late');
    expect(act).not.toHaveBeenCalled();
    const row = answer.mock.calls[0]?.[0].args?.row;
    // Digits that JavaScript's numbers would lose are kept.
    expect(JSON.parse(String(row))).toEqual({
      hour: '17',
      id: '9007199254740993'
    });
  });

  it('says under a field what is wrong with it, and goes there', async () => {
    const told = { hour: 'expected long, found a string' };
    show([form], {
      act: () => Promise.resolve(),
      answer: () =>
        Promise.reject(new Refusal('it was refused', '', '', 'E', told))
    });
    await userEvent.click(screen.getByRole('button', { name: 'Predict' }));
    await screen.findByText(told.hour);
    const hour = screen.getByRole('textbox', { name: /hour/ });
    expect(hour.getAttribute('aria-invalid')).toBe('true');
    expect(document.activeElement).toBe(hour);
    expect(screen.queryByRole('alert')).toBeNull();
  });
});

describe('snippets', () => {
  it('are walked by arrow keys, and copied', async () => {
    const copy = vi.fn();
    const items = ['curl', 'Python', 'JavaScript'].map(title => ({
      type: 'code',
      title,
      text: `${title} it`
    }));
    show([{ type: 'snippets', title: 'Call it', items }], { copy });
    screen.getByRole('tab', { name: 'curl' }).focus();
    await userEvent.keyboard('{ArrowLeft}');
    expect(screen.getByText('JavaScript it')).toBeTruthy();
    await userEvent.keyboard('{ArrowRight}{ArrowRight}');
    expect(document.activeElement?.textContent).toBe('Python');
    await userEvent.click(screen.getByRole('button', { name: 'Copy' }));
    expect(copy).toHaveBeenCalledWith('Python it');
  });
});
