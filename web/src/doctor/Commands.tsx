/** Commands to copy, as one block. */

import type { JSX } from "react";
import { CopyButton } from "../components/CopyButton";

export function Commands({ commands }: { commands: readonly string[] }): JSX.Element | null {
  if (commands.length === 0) return null;
  const text = commands.join("\n");
  return (
    <div className="commands">
      <pre>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} />
    </div>
  );
}
