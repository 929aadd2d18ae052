import React from 'react';

import type { LiveView } from '../live';

/**
 * Draw again whenever a live view changes, and keep it live while it can be seen.
 */
export function useLive(live: LiveView, isVisible: boolean): LiveView {
  const [, redraw] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const onChange = (): void => {
      redraw();
    };
    live.changed.connect(onChange);
    redraw();
    return () => {
      live.changed.disconnect(onChange);
    };
  }, [live]);
  React.useEffect(() => {
    if (!isVisible) {
      return;
    }
    const watch = live.watch();
    return () => {
      watch.dispose();
    };
  }, [live, isVisible]);
  return live;
}
