import React from 'react';

import { scalarText } from '../format';
import type { IField, IForm, IProgress } from '../views';
import { valueOf } from '../views';
import { Failure } from './blocks';
import { useHost } from './host';
import { ProgressBlock } from './progress';
import { Titled } from './section';

/** A verb whose arguments a person fills in; nothing where verbs can't be set off. */
export function FormBlock(props: { block: IForm }): React.JSX.Element | null {
  const { block } = props;
  const { trans, act } = useHost();
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
      const args = { ...block.args, ...argumentsOf(block, filled) };
      await act({ label: block.submit, verb: block.verb, args }, setProgress);
    } catch (reason) {
      setFailure(reason);
    } finally {
      setRunning(false);
      setProgress(null);
    }
  };
  return (
    <Titled title={block.title}>
      <form
        className="jp-mlops-Form"
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
            onChange={value => {
              setFilled({ ...filled, [field.name]: value });
            }}
          />
        ))}
        <button
          type="submit"
          className="jp-mlops-Button"
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
      {failure ? <Failure reason={failure} /> : null}
    </Titled>
  );
}

function FieldInput(props: {
  field: IField;
  value: string;
  onChange: (value: string) => void;
}): React.JSX.Element {
  const { field, value, onChange } = props;
  const { trans } = useHost();
  const datasets = useDatasets(field.kind === 'dataset');
  const choices = field.kind === 'dataset' ? datasets : (field.choices ?? []);
  const listed = choices.map(scalarText);
  if (value && listed.length && !listed.includes(value)) {
    listed.unshift(value);
  }
  const control =
    field.kind === 'switch' ? (
      <input
        type="checkbox"
        checked={value === 'true'}
        onChange={event => {
          onChange(event.target.checked ? 'true' : 'false');
        }}
      />
    ) : listed.length ? (
      <select
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      >
        <option value="">{trans.__('none')}</option>
        {listed.map((choice, place) => (
          <option key={place} value={choice}>
            {choice}
          </option>
        ))}
      </select>
    ) : (
      <input
        type="text"
        inputMode={field.kind === 'number' ? 'decimal' : 'text'}
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      />
    );
  return (
    <label className="jp-mlops-Field">
      <span className="jp-mlops-Field-label">{field.label}</span>
      {control}
      {field.hint ? (
        <span className="jp-mlops-Field-hint">{field.hint}</span>
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

/** What was filled in, as the verb takes it; what is empty is left out. */
export function argumentsOf(
  block: IForm,
  filled: Readonly<Record<string, string>>
): Record<string, unknown> {
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
      const number = Number(text.replaceAll(',', ''));
      found[field.name] =
        field.kind === 'number' && !Number.isNaN(number) ? number : text;
    }
  }
  return found;
}
