import { MainAreaWidget } from '@jupyterlab/apputils';
import { IFrame } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';

/** Pixels that Evidently's page needs; in a narrower window it cuts off its right side. */
const PAGE_WIDTH = 1240;

/** A frame that shrinks a page, rather than cut it, where there is little room. */
class FittedFrame extends IFrame {
  protected override onResize(msg: Widget.ResizeMessage): void {
    super.onResize(msg);
    const element = this.node.querySelector('iframe');
    const { clientWidth, clientHeight } = this.node;
    if (!element || clientWidth === 0) {
      return;
    }
    const scale = Math.min(1, clientWidth / PAGE_WIDTH);
    element.style.width = `${clientWidth / scale}px`;
    element.style.height = `${clientHeight / scale}px`;
    element.style.transform = `scale(${scale})`;
  }
}

/**
 * A stored report in a frame: its scripts run, without this page's origin, so that they
 * reach neither the page nor the server.
 */
export function reportPanel(
  url: string,
  title: string
): MainAreaWidget<IFrame> {
  const frame = new FittedFrame({ sandbox: ['allow-scripts'] });
  frame.addClass('jp-mlops-Report');
  const element = frame.node.querySelector('iframe');
  element?.setAttribute('title', title);
  frame.url = url;
  const panel = new MainAreaWidget<IFrame>({ content: frame });
  panel.toolbar.hide();
  return panel;
}
