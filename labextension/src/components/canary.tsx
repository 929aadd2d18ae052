import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { scalarText } from '../format';
import { splitReference } from '../references';
import type { IAction, ICanary } from '../views';
import { valueOf } from '../views';
import { Failure } from './blocks';
import { useHost } from './host';
import { Titled } from './section';

/** A version that could be the canary, and what else it is called. */
interface IChoice {
  version: string;
  aliases: string;
}

/**
 * Moves the share of requests that another version answers: what would change is said in a
 * sentence, and nothing happens before the person agrees to it.
 */
export function CanaryBlock(props: {
  block: ICanary;
}): React.JSX.Element | null {
  const { block } = props;
  const { trans, act } = useHost();
  const share = block.share ?? 0;
  const running = block.version ?? '';
  const choices = useVersions(block);
  const [version, setVersion] = React.useState(running);
  const [percent, setPercent] = React.useState(percentOf(share));
  const [isWorking, setWorking] = React.useState(false);
  const [failure, setFailure] = React.useState<unknown>(null);
  // What is so by now, whoever moved it.
  React.useEffect(() => {
    setVersion(running);
    setPercent(percentOf(share));
  }, [running, share, block.primary]);
  if (!act) {
    return null;
  }
  const others = choices?.filter(one => one.version !== block.primary) ?? [];
  if (!running && choices && !others.length) {
    return (
      <Titled title={block.title}>
        <p className="jp-mlops-Empty">
          {trans.__(
            'Only version %1 of %2 is registered; with another one, a share of the requests can be moved to it.',
            block.primary,
            block.model
          )}
        </p>
      </Titled>
    );
  }
  const wanted = version || (others[0]?.version ?? '');
  const plan = planOf(trans, block, wanted, percent);
  const perform = async (action: IAction): Promise<void> => {
    setWorking(true);
    setFailure(null);
    try {
      await act(action);
    } catch (reason) {
      setFailure(reason);
    } finally {
      setWorking(false);
    }
  };
  const listed = others.some(one => one.version === wanted)
    ? others
    : [{ version: wanted, aliases: '' }, ...others];
  return (
    <Titled title={block.title}>
      <div className="jp-mlops-Canary" data-lm-suppress-shortcuts="true">
        <label className="jp-mlops-Field">
          <span className="jp-mlops-Field-label">{trans.__('Version')}</span>
          <select
            value={wanted}
            disabled={isWorking}
            onChange={event => {
              setVersion(event.target.value);
            }}
          >
            {listed.map(one => (
              <option key={one.version} value={one.version}>
                {one.aliases ? `${one.version} (${one.aliases})` : one.version}
              </option>
            ))}
          </select>
        </label>
        <label className="jp-mlops-Field jp-mlops-Canary-slider">
          <span className="jp-mlops-Field-label">
            {trans.__('Share of the requests')}
          </span>
          <input
            type="range"
            min={0}
            max={100}
            step={1}
            value={percent}
            disabled={isWorking}
            aria-valuetext={trans.__(
              '%1 for version %2',
              shareText(percent),
              wanted
            )}
            onChange={event => {
              setPercent(Number(event.target.value));
            }}
          />
        </label>
        <label className="jp-mlops-Field jp-mlops-Canary-number">
          <span className="jp-mlops-Field-label">{trans.__('Percent')}</span>
          <input
            type="number"
            min={0}
            max={100}
            step="any"
            value={percent}
            disabled={isWorking}
            onChange={event => {
              const given = Number(event.target.value);
              if (Number.isFinite(given)) {
                setPercent(Math.min(100, Math.max(0, given)));
              }
            }}
          />
        </label>
        <button
          type="button"
          className="jp-mlops-Button"
          disabled={isWorking || !plan.action}
          aria-busy={isWorking}
          onClick={() => {
            if (plan.action) {
              void perform(plan.action);
            }
          }}
        >
          {trans.__('Apply')}
        </button>
        {running ? (
          <button
            type="button"
            className="jp-mlops-Button"
            data-danger="true"
            disabled={isWorking}
            onClick={() => {
              void perform(withdrawal(trans, block, running));
            }}
          >
            {trans.__('Withdraw')}
          </button>
        ) : null}
      </div>
      <p
        className="jp-mlops-Canary-plan"
        role="status"
        data-changes={plan.action !== null}
      >
        {isWorking ? trans.__('Working…') : plan.sentence}
      </p>
      {failure ? <Failure reason={failure} /> : null}
    </Titled>
  );
}

/** Without what binary fractions leave behind: 0.07 is 7 percent. */
function percentOf(share: number): number {
  return Number((100 * share).toPrecision(8));
}

/** As a person wrote it: 30 %, 2.5 %. */
function shareText(percent: number): string {
  return `${Number(percent.toPrecision(4))} %`;
}

/** What a share would change, in a sentence, and the verb that does it; null when nothing. */
function planOf(
  trans: TranslationBundle,
  block: ICanary,
  version: string,
  percent: number
): { sentence: string; action: IAction | null } {
  const { endpoint, model, primary } = block;
  const running = block.version ?? '';
  const now = percentOf(block.share ?? 0);
  const text = shareText(percent);
  const isSame = running
    ? version === running && Math.abs(percent - now) < 1e-6
    : percent === 0;
  if (isSame) {
    return {
      sentence: running
        ? trans.__(
            'Version %1 answers %2 of the requests, version %3 the others.',
            running,
            text,
            primary
          )
        : trans.__('Version %1 answers all requests.', primary),
      action: null
    };
  }
  if (percent === 0) {
    const action = withdrawal(trans, block, running);
    return { sentence: action.confirm ?? '', action };
  }
  const label = trans.__('Move requests');
  if (percent === 100) {
    const confirm = trans.__(
      'Version %1 will answer all requests of %2 from now on, in place of version %3.',
      version,
      endpoint,
      primary
    );
    const args = { model: `${model}@${version}`, name: endpoint };
    return {
      sentence: confirm,
      action: { label, verb: 'serve', args, confirm }
    };
  }
  const confirm =
    running === version
      ? trans.__(
          'Version %1 will answer %2 of the requests instead of %3, version %4 the others.',
          version,
          text,
          shareText(now),
          primary
        )
      : running
        ? trans.__(
            'Version %1 will answer %2 of the requests in place of version %3, version %4 the others.',
            version,
            text,
            running,
            primary
          )
        : trans.__(
            'Version %1 will answer %2 of the requests, version %3 the others.',
            version,
            text,
            primary
          );
  const args = {
    model: `${model}@${primary}`,
    name: endpoint,
    canary: `${version}:${percent}%`
  };
  return { sentence: confirm, action: { label, verb: 'serve', args, confirm } };
}

function withdrawal(
  trans: TranslationBundle,
  block: ICanary,
  running: string
): IAction {
  const { endpoint, model, primary } = block;
  return {
    label: trans.__('Withdraw'),
    verb: 'serve',
    args: { model: `${model}@${primary}`, name: endpoint, canary: 'off' },
    confirm: trans.__(
      'Version %1 will be withdrawn, and version %2 answer all requests again.',
      running,
      primary
    ),
    danger: true
  };
}

/** The registered versions of the endpoint's model; null before they are known. */
function useVersions(block: ICanary): readonly IChoice[] | null {
  const { ask } = useHost();
  const [found, setFound] = React.useState<readonly IChoice[] | null>(null);
  const { model, primary, version } = block;
  React.useEffect(() => {
    if (!ask) {
      return;
    }
    let isGone = false;
    ask({ verb: 'models', args: { name: model } }).then(
      view => {
        const table = view.blocks.find(one => one.type === 'table');
        if (!isGone && table?.type === 'table') {
          setFound(
            table.rows.map(row => {
              const { name } = splitReference(
                scalarText(valueOf(row, 'model'))
              );
              return {
                version: name.slice(name.lastIndexOf('@') + 1),
                aliases: scalarText(valueOf(row, 'aliases') ?? '')
              };
            })
          );
        }
      },
      () => {
        // The version that runs can still be moved.
      }
    );
    return () => {
      isGone = true;
    };
  }, [ask, model, primary, version]);
  return found;
}
