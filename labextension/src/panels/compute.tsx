import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import { CommandIDs } from '../commands';
import { useHost } from '../components/host';
import type { IQuery } from '../references';
import type { IWorkspace } from '../tokens';
import {
  ALERTS,
  CLUSTERS,
  ENVIRONMENTS,
  GPUS,
  POLICIES,
  PREDICTIONS,
  STREAMS
} from './sections';
import { useLive } from './uselive';

interface IPlace {
  workspace: IWorkspace;
  commands: CommandRegistry;
  isVisible: boolean;
}

/** A list that can be opened, what it is called, and what says how much of it there is. */
type List = readonly [id: string, title: string, state: IQuery | null];

/** From experiments to the runs that belong to none, and to what they all run on. */
export function Compute(props: IPlace): React.JSX.Element {
  const { trans } = useHost();
  const lists: readonly List[] = [
    ['runs', trans.__('Runs'), null],
    ['clusters', trans.__('Clusters'), CLUSTERS],
    ['gpus', trans.__('GPUs'), GPUS],
    ['environments', trans.__('Environments'), ENVIRONMENTS]
  ];
  return <Lists {...props} lists={lists} label={trans.__('Compute')} />;
}

/** From models to what trains them again. */
export function Retraining(props: IPlace): React.JSX.Element {
  const { trans } = useHost();
  const lists: readonly List[] = [
    ['policies', trans.__('Policies'), POLICIES],
    ['decisions', trans.__('Decisions'), null]
  ];
  return <Lists {...props} lists={lists} label={trans.__('Re-training')} />;
}

/** From endpoints to what flows through them, and to what models predict at a stretch. */
export function Traffic(props: IPlace): React.JSX.Element {
  const { trans } = useHost();
  const lists: readonly List[] = [
    ['streams', trans.__('Streams'), STREAMS],
    ['predictions', trans.__('Batch predictions'), PREDICTIONS]
  ];
  return <Lists {...props} lists={lists} label={trans.__('Traffic')} />;
}

/** From endpoints to what watches them. */
export function Watching(props: IPlace): React.JSX.Element {
  const { trans } = useHost();
  const lists: readonly List[] = [
    ['alerts', trans.__('Alerts'), ALERTS],
    ['monitors', trans.__('Monitors'), null],
    ['checks', trans.__('Drift checks'), null],
    ['channels', trans.__('Channels'), null]
  ];
  return <Lists {...props} lists={lists} label={trans.__('Monitoring')} />;
}

function Lists(
  props: IPlace & { lists: readonly List[]; label: string }
): React.JSX.Element {
  const { workspace, commands, isVisible, lists, label } = props;
  return (
    <div className="jp-mlops-Ways" role="group" aria-label={label}>
      {lists.map(([list, title, query]) => (
        <span key={list} className="jp-mlops-Way">
          <button
            type="button"
            className="jp-mlops-Link jp-mlops-Section-all"
            onClick={() => {
              void commands.execute(CommandIDs.openList, { list });
            }}
          >
            {title}
          </button>
          {query ? (
            <State workspace={workspace} query={query} isVisible={isVisible} />
          ) : null}
        </span>
      ))}
    </div>
  );
}

/** How many there are and what they do, as the list says itself; nothing where there is none. */
function State(props: {
  workspace: IWorkspace;
  query: IQuery;
  isVisible: boolean;
}): React.JSX.Element | null {
  const live = useLive(props.workspace.view(props.query), props.isVisible);
  const told = live.view?.subtitle ?? '';
  return told && !told.startsWith('0 ') ? (
    <span className="jp-mlops-Item-more">{told}</span>
  ) : null;
}
