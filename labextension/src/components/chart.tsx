import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import React from 'react';

import type { IChart } from '../views';
import { useHost } from './host';
import { Titled } from './section';
import { themed } from './vegatheme';

const VEGALITE = [
  'application/vnd.vegalite.v5+json',
  'application/vnd.vegalite.v6+json'
];

/** A chart through JupyterLab's own Vega-Lite renderer, else as the picture that came along. */
export function ChartBlock(props: { block: IChart }): React.JSX.Element {
  const { block } = props;
  const { trans, rendermime, themes } = useHost();
  const frame = React.useRef<HTMLDivElement>(null);
  const [failure, setFailure] = React.useState('');
  const [theme, setTheme] = React.useState(themes?.theme ?? null);

  React.useEffect(() => {
    const onTheme = (): void => {
      setTheme(themes?.theme ?? null);
    };
    themes?.themeChanged.connect(onTheme);
    return () => {
      themes?.themeChanged.disconnect(onTheme);
    };
  }, [themes]);

  const mime = VEGALITE.find(type => rendermime?.mimeTypes.includes(type));

  React.useEffect(() => {
    const host = frame.current;
    if (!host || !rendermime || !mime) {
      return;
    }
    const renderer = rendermime.createRenderer(mime);
    renderer.addClass('jp-mlops-Chart-drawing');
    MessageLoop.sendMessage(renderer, Widget.Msg.BeforeAttach);
    host.appendChild(renderer.node);
    MessageLoop.sendMessage(renderer, Widget.Msg.AfterAttach);
    const model: IRenderMime.IMimeModel = {
      trusted: true,
      data: { [mime]: themed(block.spec, host) as ReadonlyPartialJSONObject },
      metadata: {
        [mime]: { embed_options: { actions: false, renderer: 'svg' } }
      },
      setData: () => undefined
    };
    renderer.renderModel(model).then(
      () => {
        setFailure('');
      },
      (reason: unknown) => {
        setFailure(String(reason));
      }
    );
    return () => {
      MessageLoop.sendMessage(renderer, Widget.Msg.BeforeDetach);
      renderer.node.remove();
      MessageLoop.sendMessage(renderer, Widget.Msg.AfterDetach);
      renderer.dispose();
    };
  }, [block.spec, rendermime, mime, theme]);

  const isDrawn = Boolean(rendermime && mime && !failure);
  return (
    <Titled title={block.title}>
      <figure className="jp-mlops-Chart">
        {isDrawn ? (
          <div ref={frame} role="img" aria-label={block.alt} />
        ) : block.png ? (
          <img src={`data:image/png;base64,${block.png}`} alt={block.alt} />
        ) : (
          <figcaption>{block.alt}</figcaption>
        )}
        {failure ? (
          <figcaption className="jp-mlops-Aside">
            {trans.__('The chart could not be drawn: %1', failure)}
          </figcaption>
        ) : null}
      </figure>
    </Titled>
  );
}
