import React from 'react';

/** A block's heading, its tools, and the block. */
export function Titled(props: {
  title?: string;
  aside?: React.ReactNode;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <section className="jp-mlops-Block">
      {props.title || props.aside ? (
        <div className="jp-mlops-Block-head">
          {props.title ? (
            <h3 className="jp-mlops-Block-title">{props.title}</h3>
          ) : null}
          {props.aside}
        </div>
      ) : null}
      {props.children}
    </section>
  );
}

/** Text in which what stands between backticks is code. */
export function Prose(props: { text: string }): React.JSX.Element {
  return (
    <>
      {props.text
        .split('`')
        .map((part, place) =>
          place % 2 ? (
            <code key={place}>{part}</code>
          ) : (
            <React.Fragment key={place}>{part}</React.Fragment>
          )
        )}
    </>
  );
}
