/** A block of code with its language, colours and a copy button. */

import type { JSX, ReactNode } from "react";
import { CopyButton } from "../components/CopyButton";
import { useTexts } from "../i18n";
import { useHighlighted, type CodeNode } from "./highlight";

interface Props {
  code: string;
  language: string;
  isGrowing: boolean;
}

export function CodeBlock({ code, language, isGrowing }: Props): JSX.Element {
  const texts = useTexts();
  const nodes = useHighlighted(code, language, isGrowing);
  return (
    <figure className="code-block">
      <figcaption>
        <span>{language || texts.code}</span>
        <CopyButton text={code} />
      </figcaption>
      {/* a wide block scrolls by itself; the keyboard must reach it to do so */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={language || texts.code}>
        <code>{nodes ? nodes.map(piece) : code}</code>
      </pre>
    </figure>
  );
}

function piece(node: CodeNode, index: number): ReactNode {
  if (node.type === "text") return node.value;
  return (
    <span key={index} className={node.properties.className?.join(" ")}>
      {node.children.map(piece)}
    </span>
  );
}
