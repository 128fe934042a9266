/** A block of code with its language and a copy button. */

import type { JSX } from "react";
import { CopyButton } from "../components/CopyButton";
import { useTexts } from "../i18n";

export function CodeBlock({ code, language }: { code: string; language: string }): JSX.Element {
  const texts = useTexts();
  return (
    <figure className="code-block">
      <figcaption>
        <span>{language || texts.code}</span>
        <CopyButton text={code} />
      </figcaption>
      {/* a wide block scrolls by itself; the keyboard must reach it to do so */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </figure>
  );
}
