import React from 'react';

import { scalarText } from '../format';
import type { IFinding, IFindings, Level } from '../views';
import { levelOf } from '../views';
import { CopyButton } from './copy';
import { useHost } from './host';
import { Prose, Titled } from './section';

/** What a group shows before a person asks for all of it. */
const SHOWN = 5;

/** Findings by how pressing they are, each with its evidence and a fix to copy. */
export function FindingsBlock(props: { block: IFindings }): React.JSX.Element {
  const { block } = props;
  const { trans } = useHost();
  const groups: readonly (readonly [Level, string])[] = [
    ['bad', trans.__('Act on')],
    ['warn', trans.__('Check')],
    ['info', trans.__('Good to know')],
    ['good', trans.__('Fine')]
  ];
  const total = block.total ?? block.items.length;
  return (
    <Titled title={block.title}>
      {block.items.length ? (
        groups.map(([level, name]) => (
          <Group
            key={level}
            level={level}
            name={name}
            items={block.items.filter(one => levelOf(one.level) === level)}
          />
        ))
      ) : (
        <p className="jp-mlops-Empty">
          <Prose text={block.empty ?? trans.__('Nothing found.')} />
        </p>
      )}
      {total > block.items.length ? (
        <p className="jp-mlops-Aside">
          {trans.__(
            'The first %1 of %2 are listed here.',
            block.items.length.toLocaleString('en-US'),
            total.toLocaleString('en-US')
          )}
        </p>
      ) : null}
    </Titled>
  );
}

function Group(props: {
  level: Level;
  name: string;
  items: readonly IFinding[];
}): React.JSX.Element | null {
  const { level, name, items } = props;
  const { trans } = useHost();
  const [isWhole, setWhole] = React.useState(false);
  if (!items.length) {
    return null;
  }
  return (
    <div className="jp-mlops-Findings" data-level={level}>
      <h4>
        {name}
        <span className="jp-mlops-Count">{items.length}</span>
      </h4>
      <ul>
        {items.slice(0, isWhole ? items.length : SHOWN).map((one, place) => (
          <FindingItem key={place} item={one} />
        ))}
      </ul>
      {items.length > SHOWN ? (
        <button
          type="button"
          className="jp-mlops-Link jp-mlops-More"
          aria-expanded={isWhole}
          onClick={() => {
            setWhole(!isWhole);
          }}
        >
          {isWhole
            ? trans.__('Show fewer')
            : trans.__('Show all %1', items.length)}
        </button>
      ) : null}
    </div>
  );
}

function FindingItem(props: { item: IFinding }): React.JSX.Element {
  const { item } = props;
  const { trans } = useHost();
  const [isOpen, setOpen] = React.useState(false);
  const action = scalarText(item.action ?? '');
  return (
    <li>
      <div className="jp-mlops-Finding">
        <span className="jp-mlops-Finding-text">
          <strong>{scalarText(item.subject)}</strong>{' '}
          <span className="jp-mlops-Finding-kind">
            {scalarText(item.finding)}
          </span>
          <span className="jp-mlops-Finding-evidence">
            <Prose text={scalarText(item.evidence)} />
            {action ? (
              <em>
                {' – '}
                <Prose text={action} />
              </em>
            ) : null}
          </span>
        </span>
        {item.code ? (
          <span className="jp-mlops-Finding-tools">
            <button
              type="button"
              className="jp-mlops-Link"
              aria-expanded={isOpen}
              aria-label={trans.__(
                'Code for %1, %2',
                scalarText(item.subject),
                scalarText(item.finding)
              )}
              onClick={() => {
                setOpen(!isOpen);
              }}
            >
              {trans.__('Code')}
            </button>
            <CopyButton text={item.code} />
          </span>
        ) : null}
      </div>
      {isOpen && item.code ? (
        <pre
          className="jp-mlops-Finding-code"
          tabIndex={0}
          role="region"
          aria-label={trans.__('Code')}
        >
          <code>{item.code}</code>
        </pre>
      ) : null}
    </li>
  );
}
