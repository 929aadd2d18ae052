import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
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

/** Milliseconds between two drawings of a chart that changes all the time. */
const APART = 3000;

/** Pixels by which a chart's place must change for it to be drawn anew. */
const STEP = 40;

/** The chart whose turn it is: they are drawn one after another. */
let turn: Promise<void> = Promise.resolve();

/** Milliseconds after which a page that wasn't painted is taken for one that nobody sees. */
const UNSEEN = 200;

/** What is drawn of a chart: how to take it away, since when it is there, and what it is. */
interface IDrawing {
  drop: (() => void) | null;
  at: number;
  key: string;
}

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

  const width = useWidth(frame);

  // The same chart comes anew with each answer of the server.
  const spec = JSON.stringify(block.spec);
  const drawing = React.useRef<IDrawing>({ drop: null, at: 0, key: '' });

  React.useEffect(() => {
    const host = frame.current;
    if (!host || !rendermime || !mime || !width) {
      return;
    }
    const key = JSON.stringify([spec, theme, width]);
    if (key === drawing.current.key) {
      return;
    }
    let isOvertaken = false;
    const draw = (): void => {
      if (isOvertaken) {
        return;
      }
      drawing.current.at = Date.now();
      const read = JSON.parse(spec) as Record<string, unknown>;
      const { drawn, drop } = drawInto(host, rendermime, mime, read);
      drawn.then(
        () => {
          if (isOvertaken) {
            drop();
            return;
          }
          // The one before stays until this one can take its place.
          drawing.current.drop?.();
          drawing.current.drop = drop;
          drawing.current.key = key;
          setFailure('');
        },
        (reason: unknown) => {
          drop();
          setFailure(String(reason));
        }
      );
    };
    const rest = drawing.current.at + APART - Date.now();
    const timer = setTimeout(
      () => {
        turn = turn
          .then(painted)
          .then(draw)
          .catch((reason: unknown) => {
            setFailure(String(reason));
          });
      },
      Math.max(0, rest)
    );
    return () => {
      isOvertaken = true;
      clearTimeout(timer);
    };
  }, [spec, rendermime, mime, theme, width]);

  React.useEffect(
    () => () => {
      drawing.current.drop?.();
      drawing.current.drop = null;
    },
    []
  );

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

/** When what is there by now has been painted: words and rows come before charts. */
function painted(): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, UNSEEN);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      setTimeout(resolve);
    });
  });
}

/**
 * How wide an element is, in steps; 0 while it can't be seen, when nothing can be drawn in it.
 */
function useWidth(frame: React.RefObject<HTMLElement>): number {
  const [width, setWidth] = React.useState(0);
  React.useEffect(() => {
    const element = frame.current;
    if (!element) {
      return;
    }
    const look = (): void => {
      setWidth(STEP * Math.ceil(element.clientWidth / STEP));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [frame]);
  return width;
}

/** Draw a chart below what is drawn already, out of sight until it is done. */
function drawInto(
  host: HTMLElement,
  rendermime: IRenderMimeRegistry,
  mime: string,
  spec: Record<string, unknown>
): { drawn: Promise<void>; drop: () => void } {
  const renderer = rendermime.createRenderer(mime);
  renderer.addClass('jp-mlops-Chart-drawing');
  renderer.node.dataset.pending = 'true';
  MessageLoop.sendMessage(renderer, Widget.Msg.BeforeAttach);
  host.appendChild(renderer.node);
  MessageLoop.sendMessage(renderer, Widget.Msg.AfterAttach);
  const model: IRenderMime.IMimeModel = {
    trusted: true,
    data: { [mime]: themed(spec, host) as ReadonlyPartialJSONObject },
    metadata: {
      [mime]: { embed_options: { actions: false, renderer: 'svg' } }
    },
    setData: () => undefined
  };
  return {
    drawn: renderer.renderModel(model).then(() => {
      delete renderer.node.dataset.pending;
    }),
    drop: () => {
      MessageLoop.sendMessage(renderer, Widget.Msg.BeforeDetach);
      renderer.node.remove();
      MessageLoop.sendMessage(renderer, Widget.Msg.AfterDetach);
      renderer.dispose();
    }
  };
}
