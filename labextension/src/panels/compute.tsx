import type { CommandRegistry } from '@lumino/commands';
import React from 'react';

import { CommandIDs } from '../commands';
import { useHost } from '../components/host';
import type { IQuery } from '../references';
import type { IWorkspace } from '../tokens';
import { CLUSTERS, ENVIRONMENTS, GPUS } from './sections';
import { useLive } from './uselive';

/** From experiments to the runs that belong to none, and to what they all run on. */
export function Compute(props: {
  workspace: IWorkspace;
  commands: CommandRegistry;
  isVisible: boolean;
}): React.JSX.Element {
  const { workspace, commands, isVisible } = props;
  const { trans } = useHost();
  const lists: readonly [string, string, IQuery | null][] = [
    ['runs', trans.__('Runs'), null],
    ['clusters', trans.__('Clusters'), CLUSTERS],
    ['gpus', trans.__('GPUs'), GPUS],
    ['environments', trans.__('Environments'), ENVIRONMENTS]
  ];
  return (
    <div
      className="jp-mlops-Ways"
      role="group"
      aria-label={trans.__('Compute')}
    >
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
