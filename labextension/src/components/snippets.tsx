import React from 'react';

import type { ISnippets } from '../views';
import { CopyButton } from './copy';
import { useHost } from './host';
import { Titled } from './section';

/** The same thing in several languages: one is open, the others a click or an arrow key away. */
export function SnippetsBlock(props: {
  block: ISnippets;
}): React.JSX.Element | null {
  const { title, items } = props.block;
  const { trans } = useHost();
  const id = React.useId();
  const [open, setOpen] = React.useState(0);
  const tabs = React.useRef<(HTMLButtonElement | null)[]>([]);
  const shown = items[open] ?? items[0];
  if (!shown) {
    return null;
  }
  const turn = (place: number): void => {
    const next = (place + items.length) % items.length;
    setOpen(next);
    tabs.current[next]?.focus();
  };
  const name = (place: number): string =>
    items[place]?.title ?? items[place]?.language ?? '';
  return (
    <Titled title={title}>
      <div
        className="jp-mlops-Tabs"
        role="tablist"
        aria-label={title ? title : trans.__('Languages')}
        data-lm-suppress-shortcuts="true"
      >
        {items.map((_, place) => (
          <button
            key={place}
            ref={element => {
              tabs.current[place] = element;
            }}
            type="button"
            role="tab"
            id={`${id}-tab-${place}`}
            className="jp-mlops-Tab"
            aria-selected={place === open}
            aria-controls={`${id}-panel`}
            tabIndex={place === open ? 0 : -1}
            onClick={() => {
              setOpen(place);
            }}
            onKeyDown={event => {
              if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
                event.preventDefault();
                turn(place + (event.key === 'ArrowRight' ? 1 : -1));
              }
            }}
          >
            {name(place)}
          </button>
        ))}
      </div>
      <div
        id={`${id}-panel`}
        role="tabpanel"
        aria-labelledby={`${id}-tab-${open}`}
        className="jp-mlops-Code"
      >
        <pre tabIndex={0} aria-label={name(open)} role="region">
          <code>{shown.text}</code>
        </pre>
        <CopyButton key={open} text={shown.text} />
      </div>
    </Titled>
  );
}
