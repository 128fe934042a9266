/** What a person wrote or pasted, with the lines that speak for a fault marked in it. */

import { Button } from "antd";
import { useId, useState, type JSX } from "react";
import type { CitedLine } from "./support_events";
import { useWords } from "./words";

interface Props {
  text: string;
  lines: number; // of all that was sent; the text here may be shorter
  cited: readonly CitedLine[];
}

const SHORT = 8; // lines that are shown whole
const AROUND = 1; // lines of context on each side of a marked one

export function PastedText({ text, lines, cited }: Props): JSX.Element {
  const words = useWords();
  const [isWhole, setIsWhole] = useState(false);
  const id = useId();
  const all = text.split("\n");
  if (all.length === 1 && cited.length === 0) return <p className="said">{text}</p>;
  const marked = new Map(cited.map((line) => [line.line_in_part, line]));
  const isLong = all.length > SHORT;
  const isShown = (n: number): boolean => isWhole || !isLong || (marked.size > 0 ? isNear(n, marked) : n <= SHORT);
  const beyond = cited.filter((line) => line.line_in_part > all.length);
  return (
    <div className="pasted">
      <ol id={id} aria-label={words.pastedLines(Math.max(lines, all.length))}>
        {all.map((line, at) =>
          isShown(at + 1) ? (
            // lines never change their place
            // oxlint-disable-next-line react/no-array-index-key
            <li key={at} value={at + 1} className={marked.has(at + 1) ? "telling" : undefined}>
              {marked.has(at + 1) ? <mark>{line}</mark> : line || " "}
            </li>
          ) : null,
        )}
        {beyond.map((line) => (
          <li key={`beyond ${line.line}`} value={line.line_in_part} className="telling">
            <mark>{line.text}</mark>
          </li>
        ))}
      </ol>
      {isLong && (
        <Button type="link" size="small" aria-expanded={isWhole} aria-controls={id} onClick={() => setIsWhole(!isWhole)}>
          {isWhole ? words.showLess : words.showAll(all.length)}
        </Button>
      )}
    </div>
  );
}

function isNear(n: number, marked: ReadonlyMap<number, unknown>): boolean {
  for (let at = n - AROUND; at <= n + AROUND; at += 1) if (marked.has(at)) return true;
  return false;
}
