/** Commands that fit what is typed after a slash. The keyboard is the composer's. */

import type { JSX } from "react";
import type { CommandName } from "../commands";
import { useTexts } from "../i18n";

interface Props {
  names: readonly CommandName[];
  at: number; // the one that Enter takes
  onChoose: (name: CommandName) => void;
}

export function CommandMenu({ names, at, onChoose }: Props): JSX.Element {
  const texts = useTexts();
  return (
    // the keyboard stays with the field, which no native list allows
    // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role
    <div className="command-menu" role="listbox" aria-label={texts.commandMenu}>
      {names.map((name, index) => (
        <div
          key={name}
          // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role
          role="option"
          tabIndex={-1}
          aria-selected={index === at}
          className={index === at ? "command chosen" : "command"}
          // before the field loses its focus
          onMouseDown={(event) => {
            event.preventDefault();
            onChoose(name);
          }}
        >
          <code>/{name}</code>
          <span>{texts.commands[name]}</span>
        </div>
      ))}
    </div>
  );
}
