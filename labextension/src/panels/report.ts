import { MainAreaWidget } from '@jupyterlab/apputils';
import { IFrame } from '@jupyterlab/ui-components';

/**
 * A stored report in a frame: its scripts run, without this page's origin, so that they
 * reach neither the page nor the server.
 */
export function reportPanel(
  url: string,
  title: string
): MainAreaWidget<IFrame> {
  const frame = new IFrame({ sandbox: ['allow-scripts'] });
  frame.addClass('jp-mlops-Report');
  const element = frame.node.querySelector('iframe');
  element?.setAttribute('title', title);
  frame.url = url;
  const panel = new MainAreaWidget({ content: frame });
  panel.toolbar.hide();
  return panel;
}
