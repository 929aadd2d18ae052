import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { Failure } from '../components/blocks';
import { HostContext } from '../components/host';
import { numberText } from '../format';
import type { IFrame, IRunning, Kernels } from '../kernels';
import type { IPanels } from '../tokens';

/** The data frames of a running kernel, each a click from its profile. */
export class KernelPanel extends ReactWidget {
  constructor(
    private readonly _kernels: Kernels,
    private readonly _panels: IPanels,
    private readonly _path: string
  ) {
    super();
    this.addClass('jp-mlops-Panel');
    this.node.tabIndex = -1;
    this.title.label = _panels.host.trans.__('Variables');
    _panels.hostChanged.connect(this.update, this);
  }

  override dispose(): void {
    this._panels.hostChanged.disconnect(this.update, this);
    super.dispose();
  }

  protected override render(): React.JSX.Element {
    return (
      <HostContext.Provider value={this._panels.host}>
        <Variables
          kernels={this._kernels}
          panels={this._panels}
          path={this._path}
        />
      </HostContext.Provider>
    );
  }
}

function Variables(props: {
  kernels: Kernels;
  panels: IPanels;
  path: string;
}): React.JSX.Element {
  const { kernels, panels, path } = props;
  const { trans } = panels.host;
  const [running, setRunning] = React.useState<readonly IRunning[] | null>(
    null
  );
  const [chosen, setChosen] = React.useState('');
  const [frames, setFrames] = React.useState<readonly IFrame[] | null>(null);
  const [busy, setBusy] = React.useState('');
  const [failure, setFailure] = React.useState<unknown>(null);
  const kernel = running?.find(one => one.id === chosen) ?? null;

  const work = async (name: string, job: () => Promise<void>) => {
    setBusy(name);
    setFailure(null);
    try {
      await job();
    } catch (reason) {
      setFailure(reason);
    } finally {
      setBusy('');
    }
  };

  const look = React.useCallback(() => {
    void work('list', async () => {
      const found = await kernels.running();
      setRunning(found);
      setChosen(
        last =>
          (
            found.find(one => one.id === last) ??
            found.find(one => one.label === path) ??
            found[0]
          )?.id ?? ''
      );
    });
  }, [kernels, path]);

  React.useEffect(look, [look]);

  React.useEffect(() => {
    setFrames(null);
    if (kernel) {
      void work('frames', async () => {
        setFrames(await kernels.frames(kernel));
      });
    }
  }, [kernels, kernel]);

  return (
    <article className="jp-mlops-View" data-kind="variables">
      <div className="jp-mlops-View-head">
        <h2 className="jp-mlops-View-title">
          {trans.__('Data frames of a running kernel')}
        </h2>
        <button
          type="button"
          className="jp-mlops-Button"
          disabled={busy !== ''}
          onClick={look}
        >
          {trans.__('List again')}
        </button>
      </div>
      {running?.length ? (
        <div className="jp-mlops-Form jp-mlops-Block">
          <label className="jp-mlops-Field">
            <span className="jp-mlops-Field-label">{trans.__('Kernel')}</span>
            <select
              value={chosen}
              onChange={event => {
                setChosen(event.target.value);
              }}
            >
              {running.map(one => (
                <option key={one.id} value={one.id}>
                  {one.label}
                </option>
              ))}
            </select>
          </label>
        </div>
      ) : null}
      {failure ? <Failure reason={failure} /> : null}
      {running?.length === 0 ? (
        <p className="jp-mlops-Empty">
          {trans.__('No kernel runs. Open a notebook and load some data.')}
        </p>
      ) : null}
      {frames?.length === 0 ? (
        <p className="jp-mlops-Empty">
          {trans.__('This kernel holds no data frame.')}
        </p>
      ) : null}
      {frames?.length && kernel ? (
        <div
          className="jp-mlops-Scroll"
          role="region"
          aria-label={trans.__('Data frames')}
          tabIndex={0}
        >
          <table className="jp-mlops-Table">
            <thead>
              <tr>
                <th scope="col">{trans.__('Variable')}</th>
                <th scope="col">{trans.__('Kind')}</th>
                <th scope="col" data-align="right">
                  {trans.__('Rows')}
                </th>
                <th scope="col" data-align="right">
                  {trans.__('Columns')}
                </th>
                <td />
              </tr>
            </thead>
            <tbody>
              {frames.map(frame => (
                <tr key={frame.name}>
                  <th scope="row">{frame.name}</th>
                  <td>{frame.kind}</td>
                  <td data-align="right">{count(frame.rows)}</td>
                  <td data-align="right">{count(frame.columns)}</td>
                  <td>
                    <button
                      type="button"
                      className="jp-mlops-Button"
                      disabled={busy !== ''}
                      aria-busy={busy === frame.name}
                      aria-label={trans.__('Profile %1', frame.name)}
                      onClick={() => {
                        void work(frame.name, async () => {
                          panels.openResult(
                            await kernels.profile(kernel, frame.name)
                          );
                        });
                      }}
                    >
                      {trans.__('Profile')}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
      <p className="jp-mlops-Aside" role="status">
        {busy === 'frames' || busy === 'list'
          ? trans.__('Asking the kernel…')
          : busy
            ? trans.__('Profiling %1; what the kernel does goes on…', busy)
            : ''}
      </p>
    </article>
  );
}

function count(value: number | null): string {
  return value === null ? '–' : numberText(value);
}
