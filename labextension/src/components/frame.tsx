import React from 'react';

import type { IFrame } from '../views';
import { isServed } from '../views';
import { useHost } from './host';
import { Titled } from './section';

/**
 * A page that the server keeps, in a frame: its scripts run, without this page's origin, so
 * that they reach neither the page nor the server. It is fetched once it comes into sight.
 */
export function FrameBlock(props: { block: IFrame }): React.JSX.Element | null {
  const { urlOf } = useHost();
  const { title, path } = props.block;
  // Whatever sent the view: a frame never leaves the server.
  if (!urlOf || !isServed(path)) {
    return null;
  }
  return (
    <Titled>
      <iframe
        className="jp-mlops-Frame"
        title={title}
        src={urlOf(path)}
        sandbox="allow-scripts"
        loading="lazy"
      />
    </Titled>
  );
}
