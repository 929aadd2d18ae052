import React from 'react';

import { useHost } from './host';

/** A condition that rows must fulfil: it holds once it is written, and not at each letter. */
export function ConditionBox(props: {
  example: string;
  onChange: (condition: string) => void;
}): React.JSX.Element {
  const { example, onChange } = props;
  const { trans } = useHost();
  const [written, setWritten] = React.useState('');
  return (
    <form
      className="jp-mlops-Condition"
      role="search"
      data-lm-suppress-shortcuts="true"
      onSubmit={event => {
        event.preventDefault();
        onChange(written);
      }}
    >
      <input
        type="search"
        className="jp-mlops-Filter"
        aria-label={trans.__('Condition, such as %1', example)}
        placeholder={example}
        value={written}
        onChange={event => {
          setWritten(event.target.value);
          if (!event.target.value) {
            onChange('');
          }
        }}
        onBlur={() => {
          onChange(written);
        }}
      />
      <button type="submit" className="jp-mlops-Button">
        {trans.__('Filter')}
      </button>
    </form>
  );
}
