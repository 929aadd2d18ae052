import React from 'react';

import { scalarText } from '../format';
import { Refusal } from '../refusal';
import type { Block, IField, IForm, IProgress, IView } from '../views';
import { valueOf } from '../views';
import { Failure } from './blocks';
import { useHost } from './host';
import { ProgressBlock } from './progress';
import { Titled } from './section';

/** A verb whose arguments a person fills in; nothing where verbs can't be set off. */
export function FormBlock(props: {
  block: IForm;
  /** Draws the blocks of an answer that belongs below the form. */
  Answer: React.ComponentType<{ blocks: readonly Block[] }>;
}): React.JSX.Element | null {
  const { block, Answer } = props;
  const { trans, act, answer } = useHost();
  const [answered, setAnswered] = React.useState<IView | null>(null);
  const [filled, setFilled] = React.useState<Readonly<Record<string, string>>>(
    () => startOf(block)
  );
  const [isRunning, setRunning] = React.useState(false);
  const [progress, setProgress] = React.useState<IProgress | null>(null);
  const [failure, setFailure] = React.useState<unknown>(null);
  // Another answer of the server brings other values along.
  const start = JSON.stringify(startOf(block));
  React.useEffect(() => {
    setFilled(JSON.parse(start) as Record<string, string>);
  }, [start]);
  if (!act) {
    return null;
  }
  const submit = async (): Promise<void> => {
    setRunning(true);
    setFailure(null);
    try {
      const action = {
        label: block.submit,
        verb: block.verb,
        args: { ...block.args, ...argumentsOf(block, filled) },
        confirm: block.confirm ?? '',
        danger: block.danger ?? false
      };
      if (block.inline && answer) {
        setAnswered(await answer(action, setProgress));
      } else {
        await act(action, setProgress);
      }
    } catch (reason) {
      setAnswered(null);
      setFailure(reason);
    } finally {
      setRunning(false);
      setProgress(null);
    }
  };
  const wrong = failure instanceof Refusal ? failure.fields : {};
  const isTold = block.fields.some(one => Object.hasOwn(wrong, one.name));
  return (
    <Titled title={block.title}>
      <form
        className="jp-mlops-Form"
        data-inline={block.inline ?? false}
        data-lm-suppress-shortcuts="true"
        onSubmit={event => {
          event.preventDefault();
          void submit();
        }}
      >
        {block.fields.map((field, place) => (
          <FieldInput
            key={place}
            field={field}
            value={filled[field.name] ?? ''}
            wrong={
              Object.hasOwn(wrong, field.name) ? (wrong[field.name] ?? '') : ''
            }
            onChange={value => {
              setFilled({ ...filled, [field.name]: value });
            }}
          />
        ))}
        <button
          type="submit"
          className="jp-mlops-Button"
          data-danger={block.danger ?? false}
          disabled={isRunning}
          aria-busy={isRunning}
        >
          {block.submit}
        </button>
      </form>
      {isRunning ? (
        progress ? (
          <ProgressBlock block={progress} />
        ) : (
          <p className="jp-mlops-Aside" role="status">
            {trans.__('Working…')}
          </p>
        )
      ) : null}
      {failure && !isTold ? <Failure reason={failure} /> : null}
      {answered && !isRunning ? (
        <section
          className="jp-mlops-Answer"
          role="status"
          aria-label={answered.title}
          data-kind={answered.kind}
        >
          <Answer blocks={answered.blocks} />
        </section>
      ) : null}
    </Titled>
  );
}

function FieldInput(props: {
  field: IField;
  value: string;
  /** What is wrong with it; empty when nothing is known to be. */
  wrong: string;
  onChange: (value: string) => void;
}): React.JSX.Element {
  const { field, value, wrong, onChange } = props;
  const { trans } = useHost();
  const id = React.useId();
  const control = React.useRef<
    HTMLInputElement & HTMLSelectElement & HTMLTextAreaElement
  >(null);
  React.useEffect(() => {
    if (wrong) {
      control.current?.focus();
    }
  }, [wrong]);
  const told = {
    ref: control,
    'aria-invalid': wrong ? true : undefined,
    'aria-required': field.required ? true : undefined,
    'aria-describedby': wrong || field.hint ? id : undefined
  };
  const datasets = useDatasets(field.kind === 'dataset');
  const choices = field.kind === 'dataset' ? datasets : (field.choices ?? []);
  const listed = choices.map(scalarText);
  if (value && listed.length && !listed.includes(value)) {
    listed.unshift(value);
  }
  const drawn =
    field.kind === 'switch' ? (
      <input
        {...told}
        type="checkbox"
        checked={value === 'true'}
        onChange={event => {
          onChange(event.target.checked ? 'true' : 'false');
        }}
      />
    ) : listed.length ? (
      <select
        {...told}
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      >
        <option value="">
          {field.unset
            ? field.unset
            : field.required
              ? trans.__('choose…')
              : trans.__('none')}
        </option>
        {listed.map((choice, place) => (
          <option key={place} value={choice}>
            {choice}
          </option>
        ))}
      </select>
    ) : field.kind === 'lines' ? (
      <textarea
        {...told}
        rows={3}
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      />
    ) : (
      <input
        {...told}
        type="text"
        inputMode={field.kind === 'number' ? 'decimal' : 'text'}
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      />
    );
  return (
    <label className="jp-mlops-Field" data-kind={field.kind}>
      <span className="jp-mlops-Field-label">
        {field.label}
        {field.required ? <span aria-hidden="true"> *</span> : null}
      </span>
      {drawn}
      {wrong ? (
        <span id={id} className="jp-mlops-Field-wrong">
          {wrong}
        </span>
      ) : field.hint ? (
        <span id={id} className="jp-mlops-Field-hint">
          {field.hint}
        </span>
      ) : null}
    </label>
  );
}

/** References of the workspace's datasets, once someone may choose one. */
function useDatasets(isWanted: boolean): readonly string[] {
  const { ask } = useHost();
  const [found, setFound] = React.useState<readonly string[]>([]);
  React.useEffect(() => {
    if (!isWanted || !ask) {
      return;
    }
    let isGone = false;
    ask({ verb: 'data-ls' }).then(
      view => {
        const table = view.blocks.find(one => one.type === 'table');
        if (!isGone && table?.type === 'table') {
          setFound(table.rows.map(row => scalarText(valueOf(row, 'ref'))));
        }
      },
      () => {
        // The name can still be written.
      }
    );
    return () => {
      isGone = true;
    };
  }, [ask, isWanted]);
  return found;
}

function startOf(block: IForm): Record<string, string> {
  return Object.fromEntries(
    block.fields.map(one => [one.name, scalarText(one.value ?? '')])
  );
}

function typed(field: IField, text: string): string | number {
  const number = Number(text.replaceAll(',', ''));
  return field.kind === 'number' && text && !Number.isNaN(number)
    ? number
    : text;
}

/** What was filled in, as the verb takes it; what is empty is left out. */
export function argumentsOf(
  block: IForm,
  filled: Readonly<Record<string, string>>
): Record<string, unknown> {
  if (block.into) {
    // As it was written: numbers of JavaScript don't hold every whole number.
    const texts = block.fields
      .map(one => [one.name, (filled[one.name] ?? '').trim()] as const)
      .filter(([, text]) => text !== '');
    return { [block.into]: JSON.stringify(Object.fromEntries(texts)) };
  }
  const found: Record<string, unknown> = {};
  const start = startOf(block);
  for (const field of block.fields) {
    const text = (filled[field.name] ?? '').trim();
    if (block.changes && text === start[field.name]) {
      continue;
    }
    if (field.kind === 'switch') {
      found[field.name] = text === 'true';
    } else if (text !== '') {
      found[field.name] = typed(field, text);
    } else if (start[field.name] && typeof field.emptied === 'string') {
      found[field.name] = typed(field, field.emptied);
    }
  }
  return found;
}
