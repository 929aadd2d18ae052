import type { IThemeManager } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import React from 'react';

import type { IAction, IAsk, IProgress, IView } from '../views';

/**
 * What surrounds a view, in a panel or below a cell. What is null can't be done there.
 */
export interface IHost {
  readonly trans: TranslationBundle;
  /** Draws charts. */
  readonly rendermime: IRenderMimeRegistry | null;
  /** Tells when colours change. */
  readonly themes: IThemeManager | null;
  /** Rows on a table's page. */
  readonly pageSize: number;
  /** Whether there is a panel for records of that reference. */
  readonly canOpen: (ref: string) => boolean;
  /** Open a record's panel. */
  readonly open: ((ref: string) => void) | null;
  /** The address of what the server shows at a path below its own. */
  readonly urlOf: ((path: string) => string) | null;
  /** Open what an action only leads to; false when it does something. */
  readonly follow: (action: IAction) => boolean;
  /** Set off a verb, asking the person first when the action wants that. */
  readonly act:
    | ((
        action: IAction,
        onProgress?: (progress: IProgress) => void
      ) => Promise<void>)
    | null;
  /** Set off a verb and get its result, shown nowhere else; null when the person declined. */
  readonly answer:
    | ((
        action: IAction,
        onProgress?: (progress: IProgress) => void
      ) => Promise<IView | null>)
    | null;
  /** Ask a verb that changes nothing for what isn't in the view itself. */
  readonly ask: ((query: IAsk) => Promise<IView>) | null;
  /** Copy text to the clipboard. */
  readonly copy: ((text: string) => void) | null;
  /** Put a cell into the notebook that was looked at last. */
  readonly insert: ((source: string) => void) | null;
}

export const PLAIN_HOST: IHost = {
  trans: nullTranslator.load('jupyter-mlops'),
  rendermime: null,
  themes: null,
  pageSize: 10,
  canOpen: () => false,
  open: null,
  urlOf: null,
  follow: () => false,
  act: null,
  answer: null,
  ask: null,
  copy: null,
  insert: null
};

export const HostContext = React.createContext<IHost>(PLAIN_HOST);

export function useHost(): IHost {
  return React.useContext(HostContext);
}
