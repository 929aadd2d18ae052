import React from 'react';

import { useHost } from './host';

/** Copies a text, and says that it did; nothing where nothing can be copied. */
export function CopyButton(props: { text: string }): React.JSX.Element | null {
  const { trans, copy } = useHost();
  const [isCopied, setCopied] = React.useState(false);
  if (!copy) {
    return null;
  }
  return (
    <button
      type="button"
      className="jp-mlops-Button"
      onClick={() => {
        copy(props.text);
        setCopied(true);
      }}
      onBlur={() => {
        setCopied(false);
      }}
    >
      <span aria-live="polite">
        {isCopied ? trans.__('Copied') : trans.__('Copy')}
      </span>
    </button>
  );
}
