import type { Kernel, ServiceManager } from '@jupyterlab/services';
import { KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { Refusal } from './refusal';
import type { IView } from './views';
import { readView } from './views';

/** A kernel that runs, under the name a person knows. */
export interface IRunning {
  readonly id: string;
  readonly name: string;
  readonly label: string;
}

/** A data frame among a kernel's variables. */
export interface IFrame {
  readonly name: string;
  readonly kind: string;
  readonly rows: number | null;
  readonly columns: number | null;
}

const MIME = 'application/vnd.jupyter-mlops.answer.v1+json';
const MODULE = 'jupyter_mlops.magics.frames';

/** A kernel that says nothing at all for that long is taken for gone. */
const PATIENCE = 15000;

/**
 * Asks running kernels for their data frames, in subshells: what a kernel is busy with goes on,
 * and nothing is left in its variables or its history.
 */
export class Kernels {
  constructor(
    private readonly _services: ServiceManager.IManager,
    private readonly _trans: TranslationBundle
  ) {}

  /** The kernels that run, those of notebooks by their paths. */
  async running(): Promise<readonly IRunning[]> {
    await this._services.sessions.refreshRunning();
    const found: IRunning[] = [];
    for (const session of this._services.sessions.running()) {
      if (session.kernel) {
        const { id, name } = session.kernel;
        found.push({ id, name, label: session.path || session.name });
      }
    }
    return found;
  }

  /** The data frames that a kernel holds. */
  async frames(kernel: IRunning): Promise<readonly IFrame[]> {
    const answer = await this._ask(kernel, 'tell_frames()');
    return Array.isArray(answer.frames) ? (answer.frames as IFrame[]) : [];
  }

  /** The profile of one of them. */
  async profile(kernel: IRunning, frame: string): Promise<IView> {
    const call = `tell_profile(${JSON.stringify(frame)})`;
    const view = readView((await this._ask(kernel, call)).view);
    if (!view) {
      throw new Refusal(this._trans.__('the kernel sent no profile'));
    }
    return view;
  }

  private async _ask(
    { id, name }: IRunning,
    call: string
  ): Promise<Record<string, unknown>> {
    const kernel = this._services.kernels.connectTo({
      model: { id, name },
      handleComms: false
    });
    try {
      await this._connected(kernel);
      const subshell = await this._subshell(kernel);
      const beside = kernel.clone({ handleComms: false });
      beside.subshellId = subshell;
      try {
        return await this._run(beside, call);
      } finally {
        // It takes its subshell along.
        beside.dispose();
      }
    } finally {
      kernel.dispose();
    }
  }

  private async _connected(kernel: Kernel.IKernelConnection): Promise<void> {
    if (kernel.connectionStatus === 'connected') {
      return;
    }
    await this._within(
      new Promise<void>(resolve => {
        kernel.connectionStatusChanged.connect((_, status) => {
          if (status === 'connected') {
            resolve();
          }
        });
      })
    );
  }

  /** A new subshell; asked for on the control channel, which a busy kernel hears too. */
  private async _subshell(kernel: Kernel.IKernelConnection): Promise<string> {
    const info = await this._control(kernel, 'kernel_info_request');
    const features = info.supported_features;
    if (!Array.isArray(features) || !features.includes('kernel subshells')) {
      throw new Refusal(
        this._trans.__('this kernel can’t be asked while it works'),
        this._trans.__('it has no subshells'),
        this._trans.__('use ipykernel 7 or newer, or profile in a cell')
      );
    }
    const made = await this._control(kernel, 'create_subshell_request');
    return String(made.subshell_id);
  }

  private async _control(
    kernel: Kernel.IKernelConnection,
    type: string
  ): Promise<Record<string, unknown>> {
    const message = KernelMessage.createMessage({
      msgType: type as 'create_subshell_request',
      channel: 'control',
      session: kernel.clientId,
      username: kernel.username,
      content: {}
    });
    const future = kernel.sendControlMessage(message, true);
    const reply = await this._within(future.done);
    return { ...reply.content };
  }

  private async _run(
    kernel: Kernel.IKernelConnection,
    call: string
  ): Promise<Record<string, unknown>> {
    const code = `__import__('${MODULE}', fromlist=['tell']).${call}`;
    const future = kernel.requestExecute(
      { code, silent: true, store_history: false, stop_on_error: false },
      true
    );
    let answer: Record<string, unknown> = {};
    future.onIOPub = message => {
      if (KernelMessage.isDisplayDataMsg(message)) {
        const data = message.content.data[MIME];
        if (typeof data === 'object' && !Array.isArray(data)) {
          answer = data;
        }
      }
    };
    const reply = await future.done;
    if (reply.content.status === 'error') {
      throw this._refusal(reply.content);
    }
    const { error } = answer;
    if (typeof error === 'object' && error !== null) {
      const { what, why, fix, code } = error as Record<string, string>;
      throw new Refusal(what ?? '', why, fix, code);
    }
    return answer;
  }

  private _refusal(content: KernelMessage.IReplyErrorContent): Refusal {
    return content.ename === 'ModuleNotFoundError' &&
      content.evalue.includes('jupyter_mlops')
      ? new Refusal(
          this._trans.__('this kernel’s Python has no jupyter_mlops'),
          '',
          this._trans.__('install it there: `%pip install jupyter_mlops`')
        )
      : new Refusal(
          this._trans.__('the kernel could not answer'),
          `${content.ename}: ${content.evalue}`
        );
  }

  private async _within<T>(work: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new Refusal(
            this._trans.__('the kernel does not answer'),
            '',
            this._trans.__('see whether it still runs')
          )
        );
      }, PATIENCE);
    });
    try {
      return await Promise.race([work, silence]);
    } finally {
      clearTimeout(timer);
    }
  }
}
