/** The keyboard and the commands, listed. */

import { Modal } from "antd";
import type { JSX } from "react";
import { COMMANDS } from "../commands";
import { useTexts } from "../i18n";

export default function HelpDialog({ onClose }: { onClose: () => void }): JSX.Element {
  const texts = useTexts();
  return (
    <Modal open title={texts.shortcuts} footer={null} onCancel={onClose} closable={{ "aria-label": texts.close }}>
      <h3 className="help-title">{texts.keys}</h3>
      <dl className="help">
        {texts.keyHelp.map(([keys, effect]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{effect}</dd>
          </div>
        ))}
      </dl>
      <h3 className="help-title">{texts.commandMenu}</h3>
      <dl className="help">
        {COMMANDS.map((name) => (
          <div key={name}>
            <dt>
              <code>/{name}</code>
            </dt>
            <dd>{texts.commands[name]}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
