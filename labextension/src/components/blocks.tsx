import React from 'react';

import type { IActions, ICode, IFacts, INotice } from '../views';
import { levelOf } from './cells';
import { useHost } from './host';
import { Prose, Titled } from './section';

/** The few things to know first. */
export function FactsBlock(props: { block: IFacts }): React.JSX.Element {
  return (
    <dl className="jp-mlops-Facts">
      {props.block.items.map((fact, place) => (
        <div key={place} className="jp-mlops-Fact">
          <dt>{fact.label}</dt>
          <dd>{fact.value}</dd>
          {fact.hint ? (
            <dd className="jp-mlops-Fact-hint">
              <Prose text={fact.hint} />
            </dd>
          ) : null}
        </div>
      ))}
    </dl>
  );
}

const MARKS = { info: 'ⓘ', good: '✓', warn: '⚠', bad: '✗' };

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
  const { trans, copy } = useHost();
  const [isCopied, setCopied] = React.useState(false);
  return (
    <Titled title={props.block.title}>
      <div className="jp-mlops-Code">
        <pre tabIndex={0} aria-label={trans.__('Code')} role="region">
          <code>{props.block.text}</code>
        </pre>
        {copy ? (
          <button
            type="button"
            className="jp-mlops-Button"
            onClick={() => {
              copy(props.block.text);
              setCopied(true);
            }}
            onBlur={() => {
              setCopied(false);
            }}
          >
            <span aria-live="polite">
              {isCopied ? trans.__('Copied') : trans.__('Copy')}
            </span>
          </button>
        ) : null}
      </div>
    </Titled>
  );
}

/** Verbs a person can set off from here. */
export function ActionsBlock(props: {
  block: IActions;
}): React.JSX.Element | null {
  const { act } = useHost();
  const [running, setRunning] = React.useState<number | null>(null);
  const isMounted = React.useRef(true);
  React.useEffect(() => {
    isMounted.current = true;
    return () => {
      isMounted.current = false;
    };
  }, []);
  if (!act || !props.block.items.length) {
    return null;
  }
  return (
    <div className="jp-mlops-Actions">
      {props.block.items.map((action, place) => (
        <button
          key={place}
          type="button"
          className="jp-mlops-Button"
          data-danger={action.danger ?? false}
          disabled={running !== null}
          aria-busy={running === place}
          onClick={() => {
            setRunning(place);
            void act(action).finally(() => {
              if (isMounted.current) {
                setRunning(null);
              }
            });
          }}
        >
          {action.label}
        </button>
      ))}
    </div>
  );
}
