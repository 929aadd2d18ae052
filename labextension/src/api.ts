import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { Refusal } from './refusal';
import type { ILabelTask } from './tokens';
import type { IView } from './views';
import { readView } from './views';

/**
 * The server extension's routes, with the token and XSRF that the server wants.
 */
export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  /** Ask a verb that changes nothing. */
  async ask(
    verb: string,
    args: Readonly<Record<string, string>>
  ): Promise<IView> {
    const query = URLExt.objectToQueryString({ ...args });
    const path = URLExt.join('verbs', encodeURIComponent(verb));
    return this._view(await this._request(path + query, { method: 'GET' }));
  }

  /** Set off a verb; its progress is told by events under the job's name. */
  async act(
    verb: string,
    args: Readonly<Record<string, unknown>>,
    job?: string
  ): Promise<IView> {
    const path = URLExt.join('verbs', encodeURIComponent(verb));
    return this._view(
      await this._request(path, {
        method: 'POST',
        body: JSON.stringify(args),
        headers: {
          'Content-Type': 'application/json',
          ...(job ? { 'X-MLOps-Job': job } : {})
        }
      })
    );
  }

  /** What a labeler must know of a labeling task. */
  async labelTask(name: string): Promise<ILabelTask> {
    const path = URLExt.join('labels', encodeURIComponent(name), 'state');
    const headers = { 'Content-Type': 'application/json' };
    const init = { method: 'POST', body: '{}', headers };
    const json = (await this._request(path, init)) as { task: ILabelTask };
    return json.task;
  }

  /** Where the labeler's script and style are served. */
  labelerUrl(file: string): string {
    return URLExt.join(this._settings.baseUrl, 'mlops/api/labelers', file);
  }

  /** Where a stored report is served. */
  reportUrl(id: string): string {
    return URLExt.join(
      this._settings.baseUrl,
      'mlops/api/reports',
      encodeURIComponent(id)
    );
  }

  private _view(json: unknown): IView {
    const view = readView(json);
    if (!view) {
      throw new Refusal(
        'the server sent something that is no view',
        'the server extension and this page may be of different versions',
        'restart the server and reload the page'
      );
    }
    return view;
  }

  private async _request(path: string, init: RequestInit): Promise<unknown> {
    const url = URLExt.join(this._settings.baseUrl, 'mlops/api', path);
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(
        url,
        // With its own default JupyterLab adds the time to the arguments.
        { ...init, cache: 'no-cache' },
        this._settings
      );
    } catch (reason) {
      throw new Refusal(
        'the Jupyter server does not answer',
        reason instanceof Error ? reason.message : '',
        'check that it is running, then refresh'
      );
    }
    const text = await response.text();
    const json = parse(text);
    if (!response.ok) {
      throw refusal(response.status, json);
    }
    return json;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function refusal(status: number, json: unknown): Refusal {
  const body = (json ?? {}) as Record<string, unknown>;
  const read = (key: string): string => {
    const value = Object.hasOwn(body, key) ? body[key] : '';
    return typeof value === 'string' ? value : '';
  };
  if (read('what')) {
    return new Refusal(
      read('what'),
      read('why'),
      read('fix'),
      read('code'),
      textsOf(body.fields)
    );
  }
  if (status === 404) {
    return new Refusal(
      'this Jupyter server has no MLOps extension',
      '',
      'install jupyter_mlops where the server runs, then restart it'
    );
  }
  if (status === 403) {
    return new Refusal('you may not do this on this server', read('message'));
  }
  return new Refusal(`the server answered ${status}`, read('message'));
}

/** Those of an object's values that are text. */
function textsOf(json: unknown): Record<string, string> {
  return typeof json === 'object' && json !== null
    ? Object.fromEntries(
        Object.entries(json).filter(
          (one): one is [string, string] => typeof one[1] === 'string'
        )
      )
    : {};
}
