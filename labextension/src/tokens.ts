import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { IHost } from './components/host';
import type { LiveView } from './live';
import type { IQuery } from './references';
import type { IAction, IAsk, IProgress, IView } from './views';

/** Something was recorded in the workspace, by whoever and from wherever. */
export interface IChange {
  /** Place in the event log. */
  readonly seq: number;
  /** What happened: `endpoint.ready`. */
  readonly kind: string;
  /** Reference of the record it happened to. */
  readonly subject: string;
  readonly actor: string;
  readonly at: string;
  /** Id of the experiment whose trial the record is. */
  readonly experiment?: string;
}

/** What a labeler must know of its task. */
export interface ILabelTask {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly answer: string;
  readonly classes: readonly string[];
}

/**
 * The workspace as the browser sees it: views that follow it, and verbs that change it.
 */
export interface IWorkspace {
  /** Emitted once for each record that anyone adds to the workspace. */
  readonly changed: ISignal<IWorkspace, IChange>;

  /**
   * The view that answers a query; panels that ask the same share it.
   */
  view(query: IQuery): LiveView;

  /**
   * Set off a verb.
   *
   * @returns The view of its result.
   * @throws `Refusal` with what was wrong and what to do.
   */
  act(
    action: Pick<IAction, 'verb' | 'args'>,
    onProgress?: (progress: IProgress) => void
  ): Promise<IView>;

  /**
   * Ask a verb that changes nothing, once.
   *
   * @throws `Refusal` with what was wrong and what to do.
   */
  ask(query: IAsk): Promise<IView>;

  /** Where a stored report is served. */
  reportUrl(id: string): string;

  /**
   * What a labeler must know of a labeling task.
   *
   * @throws `Refusal` when there is no such task.
   */
  labelTask(name: string): Promise<ILabelTask>;

  /** Where the labeler's script and style are served. */
  labelerUrl(file: string): string;

  /** Ask again for everything that is shown. */
  refresh(): void;
}

export const IWorkspace = new Token<IWorkspace>(
  'jupyter-mlops:IWorkspace',
  'The workspace that the server keeps: live views of its records, and verbs.'
);

/**
 * The panels of the main area, and what surrounds every view wherever it is drawn.
 */
export interface IPanels {
  /** What surrounds views: translations, charts, and the ways on from them. */
  readonly host: IHost;

  /** Emitted when `host` has changed. */
  readonly hostChanged: ISignal<IPanels, void>;

  /** Open, or bring to the front, the panel that answers a query which changes nothing. */
  openQuery(query: IQuery): void;

  /** Open the result of something that was done. */
  openResult(view: IView): void;

  /** Open the panel of a record. */
  openReference(ref: string): void;

  /** Open a stored report. */
  openReport(id: string, title?: string): void;

  /** Open the labeler of a task: it needs no kernel. */
  openLabeler(task: string): void;

  /**
   * Set off a verb, asking the person first when the action wants that, and show its result.
   *
   * @throws `Refusal` with what was wrong and what to do.
   */
  perform(
    action: IAction,
    onProgress?: (progress: IProgress) => void
  ): Promise<void>;
}

export const IPanels = new Token<IPanels>(
  'jupyter-mlops:IPanels',
  'Opens panels for records, reports and results.'
);
