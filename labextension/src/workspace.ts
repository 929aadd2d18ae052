import type { Event, ServiceManager } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { Api } from './api';
import { LiveView } from './live';
import type { IQuery } from './references';
import { concerns, keyOf } from './references';
import type { IChange, ILabelTask, IWorkspace } from './tokens';
import type { IAction, IAsk, IProgress, IView } from './views';

/** Somebody's verb is under way; whose it is, only who set it off knows. */
const PROGRESS = 'job.progress';

interface IJobProgress {
  readonly subject: string;
  readonly done: number;
  readonly total?: number;
  readonly seconds?: number;
}

const SCHEMA = 'https://schema.jupyter-mlops.org/event/v1';

/**
 * The workspace behind the server: it listens to the server's events and never polls.
 */
export class Workspace implements IWorkspace {
  constructor(services: ServiceManager.IManager) {
    this._api = new Api(services.serverSettings);
    services.events.stream.connect(this._onEvent, this);
    // What happened while the machine slept or was offline was told to nobody here.
    const catchUp = (): void => {
      if (!document.hidden) {
        this.refresh();
      }
    };
    document.addEventListener('visibilitychange', catchUp);
    window.addEventListener('online', catchUp);
  }

  get changed(): ISignal<this, IChange> {
    return this._changed;
  }

  view(query: IQuery): LiveView {
    const key = keyOf(query);
    let live = this._views.get(key);
    if (!live) {
      live = new LiveView(query, ({ verb, args }) => this._api.ask(verb, args));
      this._views.set(key, live);
    }
    return live;
  }

  async ask({ verb, args }: IAsk): Promise<IView> {
    const texts = Object.entries(args ?? {})
      .filter(([, value]) => value !== '' && value !== null)
      .map(([name, value]) => [name, String(value)] as const);
    return this._api.ask(verb, Object.fromEntries(texts));
  }

  async act(
    { verb, args }: Pick<IAction, 'verb' | 'args'>,
    onProgress?: (progress: IProgress) => void
  ): Promise<IView> {
    if (!onProgress) {
      return this._api.act(verb, args ?? {});
    }
    const job = UUID.uuid4();
    this._jobs.set(job, onProgress);
    try {
      return await this._api.act(verb, args ?? {}, job);
    } finally {
      this._jobs.delete(job);
    }
  }

  reportUrl(id: string): string {
    return this._api.reportUrl(id);
  }

  labelTask(name: string): Promise<ILabelTask> {
    return this._api.labelTask(name);
  }

  labelerUrl(file: string): string {
    return this._api.labelerUrl(file);
  }

  refresh(): void {
    for (const live of this._views.values()) {
      live.touch();
    }
  }

  private _onEvent(_: unknown, emission: Event.Emission): void {
    if (emission.schema_id !== SCHEMA) {
      return;
    }
    if (emission.kind === PROGRESS) {
      this._onProgress(emission as unknown as IJobProgress);
      return;
    }
    const change = emission as unknown as IChange;
    for (const live of this._views.values()) {
      if (live.query && concerns(live.query, change.kind, change.experiment)) {
        live.touch();
      }
    }
    this._changed.emit(change);
  }

  private _onProgress({ subject, done, total, seconds }: IJobProgress): void {
    const job = subject.replace(/^job:/, '');
    const told = { done, total: total ?? null, seconds: seconds ?? 0 };
    this._jobs.get(job)?.({ type: 'progress', unit: 'rows', ...told });
  }

  private readonly _api: Api;
  private readonly _jobs = new Map<string, (progress: IProgress) => void>();
  private readonly _views = new Map<string, LiveView>();
  private readonly _changed = new Signal<this, IChange>(this);
}
