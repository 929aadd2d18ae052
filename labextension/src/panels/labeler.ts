import { MainAreaWidget } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { Refusal } from '../refusal';
import type { ILabelTask, IWorkspace } from '../tokens';

/** What the labeler's script asks of the widget it is shown for. */
interface IModel {
  get(name: 'task' | 'desk'): unknown;
  on(event: string, slot: unknown): void;
  send(message: unknown): void;
}

/** The labeler's script: the same that is shown below a cell. */
interface IScript {
  readonly default: {
    initialize(parts: { model: IModel }): () => void;
    render(parts: { model: IModel; el: HTMLElement }): () => void;
  };
}

let count = 0;

/** A task's labeler, which speaks to the server alone. */
export class Labeler extends Widget {
  constructor(
    private readonly _workspace: IWorkspace,
    private readonly _trans: TranslationBundle,
    /** The task's name. */
    readonly task: string
  ) {
    super();
    this.addClass('jp-mlops-Labeler');
    this.node.tabIndex = -1;
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    for (const end of this._ends.splice(0).reverse()) {
      end();
    }
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (!this._begun) {
      this._begun = true;
      void this._begin();
    }
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    (this._root ?? this.node).focus();
  }

  private get _root(): HTMLElement | null {
    return this.node.querySelector<HTMLElement>('.mlops-labeler');
  }

  private async _begin(): Promise<void> {
    const state = document.createElement('p');
    state.setAttribute('role', 'status');
    state.textContent = this._trans.__('Loading…');
    this.node.append(state);
    try {
      const task = await this._workspace.labelTask(this.task);
      const address = this._workspace.labelerUrl('labeler.js');
      const script = (await import(
        /* webpackIgnore: true */ address
      )) as IScript;
      if (this.isDisposed) {
        return;
      }
      const had = this.node.contains(document.activeElement);
      this._show(task, script);
      if (had) {
        this._root?.focus();
      }
    } catch (reason) {
      state.setAttribute('role', 'alert');
      state.textContent =
        reason instanceof Refusal
          ? [reason.message, reason.fix].filter(Boolean).join('; ')
          : this._trans.__('The labeler can’t be loaded: %1', String(reason));
    }
  }

  private _show(task: ILabelTask, { default: labeler }: IScript): void {
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = this._workspace.labelerUrl('labeler.css');
    const place = document.createElement('div');
    this.node.replaceChildren(style, place);
    const parts = { task, desk: `panel-${++count}` };
    const model: IModel = {
      get: name => parts[name],
      // There is no kernel to hear from, or to send to.
      on: () => undefined,
      send: () => undefined
    };
    this._ends.push(labeler.initialize({ model }));
    this._ends.push(labeler.render({ model, el: place }));
  }

  private _begun = false;
  private readonly _ends: (() => void)[] = [];
}

/** A task's labeler in a panel. */
export function labelerPanel(
  workspace: IWorkspace,
  trans: TranslationBundle,
  task: string
): MainAreaWidget<Labeler> {
  const panel = new MainAreaWidget({
    content: new Labeler(workspace, trans, task)
  });
  panel.toolbar.hide();
  return panel;
}
