import type { Event, ServiceManager } from '@jupyterlab/services';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { Api } from './api';
import { LiveView } from './live';
import type { IQuery } from './references';
import { concerns, keyOf } from './references';
import type { IChange, IWorkspace } from './tokens';
import type { IAction, IView } from './views';

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

  async act({ verb, args }: Pick<IAction, 'verb' | 'args'>): Promise<IView> {
    return this._api.act(verb, args ?? {});
  }

  reportUrl(id: string): string {
    return this._api.reportUrl(id);
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
    const change = emission as unknown as IChange;
    for (const live of this._views.values()) {
      if (live.query && concerns(live.query, change.kind)) {
        live.touch();
      }
    }
    this._changed.emit(change);
  }

  private readonly _api: Api;
  private readonly _views = new Map<string, LiveView>();
  private readonly _changed = new Signal<this, IChange>(this);
}
