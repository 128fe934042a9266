/** Plain text in which `words in backticks` are code: how the server writes commands. */

import { Fragment, type JSX } from "react";

export function WithCode({ text }: { text: string }): JSX.Element {
  const parts = text.split("`");
  return (
    <>
      {parts.map((part, index) => (
        // oxlint-disable-next-line no-array-index-key -- the text never changes in place
        <Fragment key={index}>{index % 2 === 1 ? <code>{part}</code> : part}</Fragment>
      ))}
    </>
  );
}
