import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { Refusal } from './refusal';
import type { IQuery } from './references';
import type { IView } from './views';

/** Events come in bursts, as the server reads them: one question answers them all. */
const SETTLE = 60;

/**
 * While they go on and on, questions are that far apart, from one's beginning to the next's: what
 * is shown is less than a second old. Where answers take long the server is asked less often.
 */
const APART = 400;
const SHARE = 4;
const LONGEST = 10_000;

/**
 * The answer to a query, asked again when the workspace changes and someone looks.
 *
 * Without a query it is the result of something that was done, which stays as it is.
 */
export class LiveView {
  constructor(
    readonly query: IQuery | null,
    private readonly _ask: (query: IQuery) => Promise<IView>
  ) {}

  /** A result that stays as it is. */
  static of(view: IView): LiveView {
    const live = new LiveView(null, () => Promise.resolve(view));
    live.accept(view);
    return live;
  }

  /** Emitted whenever what there is to show has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last answer; null before the first. */
  get view(): IView | null {
    return this._view;
  }

  /** Why the last question was refused; null when it was answered. */
  get refusal(): Refusal | null {
    return this._refusal;
  }

  get isLoading(): boolean {
    return this._asking !== null;
  }

  /**
   * Say that someone looks, until the returned handle is disposed.
   */
  watch(): IDisposable {
    this._watchers += 1;
    if (this._stale) {
      void this.refresh();
    }
    let isDisposed = false;
    return {
      get isDisposed() {
        return isDisposed;
      },
      dispose: () => {
        if (!isDisposed) {
          isDisposed = true;
          this._watchers -= 1;
        }
      }
    };
  }

  /** Ask because someone is about to look. */
  expect(): void {
    if (this._stale && !this._asking) {
      void this.refresh();
    }
  }

  /** Say that the answer may have changed: ask again soon, or when someone looks. */
  touch(): void {
    this._stale = true;
    if (this._watchers > 0 && this._timer === null) {
      const apart = Math.min(LONGEST, Math.max(APART, SHARE * this._took));
      const rest = this._asked + apart - Date.now();
      this._timer = setTimeout(
        () => {
          this._timer = null;
          void this.refresh();
        },
        Math.max(SETTLE, rest)
      );
    }
  }

  /** Show an answer that came by another way. */
  accept(view: IView): void {
    this._view = view;
    this._refusal = null;
    this._stale = false;
    this._changed.emit();
  }

  /**
   * Ask again. A change while the question is under way is asked about afterwards.
   */
  async refresh(): Promise<void> {
    if (!this.query) {
      return;
    }
    if (this._asking) {
      this._again = true;
      return this._asking;
    }
    this._asking = this._refresh(this.query);
    this._changed.emit();
    await this._asking;
  }

  private async _refresh(query: IQuery): Promise<void> {
    do {
      this._again = false;
      this._stale = false;
      this._asked = Date.now();
      try {
        this._view = await this._ask(query);
        this._refusal = null;
      } catch (reason) {
        this._refusal =
          reason instanceof Refusal ? reason : new Refusal(String(reason));
        this._stale = true;
      }
      this._took = Date.now() - this._asked;
    } while (this._isOvertaken());
    this._asking = null;
    this._changed.emit();
  }

  /** Whether something changed while the question was under way. */
  private _isOvertaken(): boolean {
    return this._again;
  }

  private _view: IView | null = null;
  private _refusal: Refusal | null = null;
  private _asking: Promise<void> | null = null;
  private _again = false;
  private _stale = true;
  private _watchers = 0;
  private _asked = 0;
  private _took = 0;
  private _timer: ReturnType<typeof setTimeout> | null = null;
  private readonly _changed = new Signal<this, void>(this);
}
