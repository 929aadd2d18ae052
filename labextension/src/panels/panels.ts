import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IThemeManager } from '@jupyterlab/apputils';
import {
  Clipboard,
  CommandToolbarButton,
  Dialog,
  MainAreaWidget,
  showDialog,
  WidgetTracker
} from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Toolbar } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import { CommandIDs } from '../commands';
import type { IHost } from '../components/host';
import { mlopsIcon } from '../icons';
import { LiveView } from '../live';
import type { IQuery } from '../references';
import {
  isRead,
  keyOf,
  lineOf,
  queryOf,
  queryOfResult,
  splitReference
} from '../references';
import type { IPanels, IWorkspace } from '../tokens';
import type { IAction, IProgress, IView } from '../views';
import type { Labeler } from './labeler';
import { labelerPanel } from './labeler';
import { reportPanel } from './report';
import { ViewPanel } from './viewpanel';

/** What the person chose in the settings. */
export interface IPanelSettings {
  readonly pageSize: number;
  readonly beside: boolean;
}

/**
 * Opens panels, each once, in the main area; in Notebook 7, where that holds one document,
 * at its side.
 */
export class Panels implements IPanels {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _workspace: IWorkspace,
    private readonly _trans: TranslationBundle,
    rendermime: IRenderMimeRegistry | null,
    themes: IThemeManager | null
  ) {
    // Of the panels of the session before, only those that are seen ask.
    void _app.restored.then(() => {
      this._isRestored = true;
    });
    this._host = {
      trans: _trans,
      rendermime,
      themes,
      pageSize: 10,
      canOpen: ref => {
        const { kind, name } = splitReference(ref);
        return kind === 'report' ? name !== '' : queryOf(ref) !== null;
      },
      open: ref => {
        this.openReference(ref);
      },
      urlOf: path =>
        URLExt.join(_app.serviceManager.serverSettings.baseUrl, path),
      act: (action, onProgress) => this.perform(action, onProgress),
      follow: action => this._follow(action),
      answer: (action, onProgress) => this._answer(action, onProgress),
      ask: query => this._workspace.ask(query),
      copy: text => {
        Clipboard.copyToSystem(text);
      },
      insert: source => {
        const { commands } = this._app;
        if (commands.hasCommand(CommandIDs.insertLine)) {
          void commands.execute(CommandIDs.insertLine, { line: source });
        }
      }
    };
  }

  /** The panels that are open, for restoring them. */
  readonly tracker = new WidgetTracker<MainAreaWidget<ViewPanel>>({
    namespace: 'jupyter-mlops-panels'
  });

  /** The labelers that are open, for restoring them. */
  readonly labelers = new WidgetTracker<MainAreaWidget<Labeler>>({
    namespace: 'jupyter-mlops-labelers'
  });

  get host(): IHost {
    return this._host;
  }

  get hostChanged(): ISignal<this, void> {
    return this._hostChanged;
  }

  configure(settings: IPanelSettings): void {
    this._beside = settings.beside;
    this._host = { ...this._host, pageSize: settings.pageSize };
    this._hostChanged.emit();
  }

  openReference(ref: string): void {
    const { kind, name } = splitReference(ref);
    if (kind === 'report') {
      this.openReport(name);
      return;
    }
    const query = queryOf(ref);
    if (query) {
      this.openQuery(query);
    }
  }

  openQuery(query: IQuery): void {
    const key = keyOf(query);
    if (!isRead(query.verb) || this._activate(key)) {
      return;
    }
    const live = this._workspace.view(query);
    if (this._isRestored) {
      // The server answers while the panel is made.
      live.expect();
    }
    const panel = this._panelOf(live);
    if (!panel.title.label) {
      panel.title.label = lineOf(query).replace('%mlops ', '');
    }
    this._add(panel, key);
    void this.tracker.add(panel);
  }

  openResult(view: IView): void {
    const { kind, name } = splitReference(view.ref ?? '');
    const query = queryOfResult(view);
    const record = queryOf(view.ref ?? '');
    const key = JSON.stringify(['result', view.kind, view.title]);
    if (kind === 'report') {
      this.openReport(name, view.title);
    } else if (query) {
      this.openQuery(query);
    } else if (view.kind === 'profile' && record) {
      this._openProfile(record, view);
    } else if (this._activate(key)) {
      this._results.get(key)?.accept(view);
    } else {
      const live = LiveView.of(view);
      this._results.set(key, live);
      this._add(this._panelOf(live), key);
    }
  }

  openReport(id: string, title = this._trans.__('Report')): void {
    const key = `report:${id}`;
    if (this._activate(key)) {
      return;
    }
    const panel = reportPanel(this._workspace.reportUrl(id), title);
    panel.title.label = title;
    this._add(panel, key);
  }

  openLabeler(task: string): void {
    const key = `labeler:${task}`;
    if (!task || this._activate(key)) {
      return;
    }
    const panel = labelerPanel(this._workspace, this._trans, task);
    panel.title.label = this._trans.__('Label %1', task);
    this._add(panel, key);
    void this.labelers.add(panel);
  }

  /** Ask the server again: for one view, or for all that are shown. */
  async refresh(key: string): Promise<void> {
    const live = this.tracker.find(
      ({ content }) =>
        content.live.query !== null && keyOf(content.live.query) === key
    )?.content.live;
    if (live) {
      await live.refresh();
    } else {
      this._workspace.refresh();
    }
  }

  async perform(
    action: IAction,
    onProgress?: (progress: IProgress) => void
  ): Promise<void> {
    if (this._follow(action)) {
      return;
    }
    const view = await this._answer(action, onProgress);
    if (view && !action.danger) {
      this.openResult(view);
    }
  }

  /** Open what an action only leads to; false when it does something. */
  private _follow(action: IAction): boolean {
    const verb = action.verb.replaceAll(' ', '-');
    if (isRead(verb)) {
      const args = Object.entries(action.args ?? {}).map(
        ([name, value]) => [name, String(value)] as const
      );
      this.openQuery({ verb, args: Object.fromEntries(args) });
      return true;
    }
    // Without data there is nothing to make: the task is to be labelled.
    const { task, data } = action.args ?? {};
    if (verb === 'label' && typeof task === 'string' && data === undefined) {
      this.openLabeler(task);
      return true;
    }
    return false;
  }

  /** Set off a verb, asking first where that is wanted; null when the person declined. */
  private async _answer(
    action: IAction,
    onProgress?: (progress: IProgress) => void
  ): Promise<IView | null> {
    if (action.confirm && !(await this._agrees(action))) {
      return null;
    }
    const verb = action.verb.replaceAll(' ', '-');
    const view = await this._workspace.act(
      { verb, args: action.args },
      onProgress
    );
    // Events say the same; this holds where a proxy keeps them back.
    this._workspace.refresh();
    return view;
  }

  /**
   * A profile is a record, so that its panel comes back after a reload. Made again, with another
   * target, it is another record, which takes the panel's place.
   */
  private _openProfile(record: IQuery, view: IView): void {
    const before = this._profiles.get(view.title);
    this._workspace.view(record).accept(view);
    this.openQuery(record);
    const panel = this._open.get(keyOf(record));
    if (before && before !== panel) {
      before.dispose();
    }
    if (panel) {
      this._profiles.set(view.title, panel);
    }
  }

  private async _agrees(action: IAction): Promise<boolean> {
    const button = action.danger ? Dialog.warnButton : Dialog.okButton;
    const answer = await showDialog({
      title: action.label,
      body: action.confirm ?? '',
      buttons: [Dialog.cancelButton(), button({ label: action.label })],
      // The safe answer has the focus.
      defaultButton: action.danger ? 0 : 1
    });
    return answer.button.accept;
  }

  private _activate(key: string): boolean {
    const open = this._open.get(key);
    if (open) {
      this._app.shell.activateById(open.id);
    }
    return open !== undefined;
  }

  private _panelOf(live: LiveView): MainAreaWidget<ViewPanel> {
    const panel = new MainAreaWidget({ content: new ViewPanel(live, this) });
    const { commands } = this._app;
    const { query } = live;
    if (query) {
      panel.toolbar.addItem(
        'refresh',
        new CommandToolbarButton({
          commands,
          id: CommandIDs.refreshViews,
          args: { key: keyOf(query) },
          label: ''
        })
      );
    }
    panel.toolbar.addItem('space', Toolbar.createSpacerItem());
    if (commands.hasCommand(CommandIDs.insertLine)) {
      const insert = new CommandToolbarButton({
        commands,
        id: CommandIDs.insertLine,
        args: {
          get line() {
            return live.view?.line ?? (query ? lineOf(query) : '');
          }
        }
      });
      panel.toolbar.addItem('insert', insert);
    }
    return panel;
  }

  private _add(panel: Widget, key: string): void {
    // Names and references are data: they never become an element's id.
    panel.id = `jupyter-mlops-panel-${++this._count}`;
    panel.title.icon = mlopsIcon;
    panel.title.closable = true;
    this._open.set(key, panel);
    panel.disposed.connect(() => {
      this._open.delete(key);
      this._results.delete(key);
    }, this);
    const isLab = this._app.name === 'JupyterLab';
    this._app.shell.add(
      panel,
      isLab ? 'main' : 'right',
      isLab && this._beside ? { mode: 'split-right' } : {}
    );
    this._app.shell.activateById(panel.id);
  }

  private _host: IHost;
  private _isRestored = false;
  private _beside = false;
  private _count = 0;
  private readonly _open = new Map<string, Widget>();
  private readonly _results = new Map<string, LiveView>();
  private readonly _profiles = new Map<string, Widget>();
  private readonly _hostChanged = new Signal<this, void>(this);
}
