import React from 'react';

import { Refusal } from '../refusal';
import type {
  IAction,
  IActions,
  ICode,
  IFacts,
  INotice,
  IProgress
} from '../views';
import { levelOf } from '../views';
import { Outside, Reference } from './cells';
import { CopyButton } from './copy';
import { useHost } from './host';
import { ProgressBlock } from './progress';
import { Prose, Titled } from './section';

/** The few things to know first. */
export function FactsBlock(props: { block: IFacts }): React.JSX.Element {
  const facts = (
    <dl className="jp-mlops-Facts">
      {props.block.items.map((fact, place) => (
        <div
          key={place}
          className="jp-mlops-Fact"
          data-long={fact.value.length > LONG}
        >
          <dt>{fact.label}</dt>
          <dd title={isDigest(fact.hint) ? fact.hint : undefined}>
            {fact.path ? (
              <Outside text={fact.value} path={fact.path} />
            ) : fact.ref ? (
              <Reference reference={fact.ref}>{fact.value}</Reference>
            ) : fact.value.length > LONG ? (
              <Prose text={fact.value.replace(IDS, id => id.slice(0, 8))} />
            ) : (
              fact.value.replace(IDS, id => id.slice(0, 8))
            )}
          </dd>
          {fact.hint && !fact.path && !isDigest(fact.hint) ? (
            <dd className="jp-mlops-Fact-hint">
              <Prose text={fact.hint} />
            </dd>
          ) : null}
        </div>
      ))}
    </dl>
  );
  return props.block.title ? (
    <Titled title={props.block.title}>{facts}</Titled>
  ) : (
    facts
  );
}

/** Characters beyond which a value is a text rather than a figure. */
const LONG = 24;

/** Ids are told apart by their first digits. */
const IDS = /\b[0-9a-f]{32}\b/g;

/** Digests are for machines: they show when someone points at what they vouch for. */
function isDigest(hint: string | undefined): boolean {
  return /^[0-9a-f]{32,}$/.test(hint ?? '');
}

const MARKS = { info: 'i', good: '✓', warn: '⚠', bad: '✗' };

/** A sentence that matters, and what to do about it. */
export function NoticeBlock(props: {
  block: Omit<INotice, 'type'>;
  role?: 'alert' | 'note';
}): React.JSX.Element {
  const { trans } = useHost();
  const level = levelOf(props.block.level);
  const names = {
    info: trans.__('Note'),
    good: trans.__('Good'),
    warn: trans.__('Warning'),
    bad: trans.__('Problem')
  };
  return (
    <div
      className="jp-mlops-Notice"
      data-level={level}
      role={props.role ?? 'note'}
    >
      <span
        className="jp-mlops-Notice-mark"
        role="img"
        aria-label={names[level]}
      >
        {MARKS[level]}
      </span>
      <span>
        <Prose text={props.block.text} />
        {props.block.fix ? (
          <span className="jp-mlops-Notice-fix">
            <Prose text={props.block.fix} />
          </span>
        ) : null}
      </span>
    </div>
  );
}

/** Something to copy. */
export function CodeBlock(props: { block: ICode }): React.JSX.Element {
  const { trans, insert } = useHost();
  return (
    <Titled title={props.block.title}>
      <div className="jp-mlops-Code">
        <pre
          tabIndex={0}
          aria-label={trans.__('Code')}
          role="region"
          data-language={props.block.language}
        >
          <code>{props.block.text}</code>
        </pre>
        <CopyButton text={props.block.text} />
      </div>
      {props.block.insert && insert ? (
        <button
          type="button"
          className="jp-mlops-Button jp-mlops-Code-insert"
          onClick={() => {
            insert(props.block.text);
          }}
        >
          {trans.__('Insert into the notebook')}
        </button>
      ) : null}
    </Titled>
  );
}

/** Verbs a person can set off from here. */
export function ActionsBlock(props: {
  block: IActions;
  /** Whether what a verb answers is shown nowhere: the view that holds the button changes. */
  stays?: boolean;
}): React.JSX.Element | null {
  const { act, answer, follow, insert } = useHost();
  const [running, setRunning] = React.useState<number | null>(null);
  const [progress, setProgress] = React.useState<IProgress | null>(null);
  const [failure, setFailure] = React.useState<unknown>(null);
  if (!act || !props.block.items.length) {
    return null;
  }
  const start = async (action: IAction, place: number): Promise<void> => {
    if (action.insert && insert) {
      insert(action.insert);
      return;
    }
    if (follow(action)) {
      return;
    }
    setRunning(place);
    setFailure(null);
    try {
      const perform = props.stays && answer ? answer : act;
      await perform(action, setProgress);
    } catch (reason) {
      setFailure(reason);
    } finally {
      setRunning(null);
      setProgress(null);
    }
  };
  return (
    <>
      <div className="jp-mlops-Actions">
        {props.block.items.map((action, place) => (
          <button
            key={place}
            type="button"
            className="jp-mlops-Button"
            data-danger={action.danger ?? false}
            disabled={running !== null}
            aria-busy={running === place}
            onClick={() => void start(action, place)}
          >
            {action.label}
          </button>
        ))}
      </div>
      {running !== null && progress ? <ProgressBlock block={progress} /> : null}
      {failure ? <Failure reason={failure} /> : null}
    </>
  );
}

/** Why something could not be done, in one sentence, and the way out. */
export function Failure(props: { reason: unknown }): React.JSX.Element {
  const refusal =
    props.reason instanceof Refusal
      ? props.reason
      : new Refusal(String(props.reason));
  const { what, why, fix, code } = refusal;
  const sentence = `${what.charAt(0).toUpperCase()}${what.slice(1)}${why ? `: ${why}` : ''}.`;
  return (
    <NoticeBlock
      role="alert"
      block={{
        level: 'bad',
        text: code ? `${sentence} (${code})` : sentence,
        fix
      }}
    />
  );
}
