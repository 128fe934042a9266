/** Chats out of the server as a file, and in from one. */

import { DownloadOutlined, EllipsisOutlined, UploadOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useRef, type ChangeEvent, type JSX } from "react";
import { Refused } from "../ask";
import { useTexts, type Texts } from "../i18n";
import { EXPORT_ALL_URL, ServerStore } from "../server_store";

interface Props {
  onImported: (remark: string) => void;
}

export function FileMenu({ onImported }: Props): JSX.Element {
  const texts = useTexts();
  const input = useRef<HTMLInputElement>(null);
  const take = (event: ChangeEvent<HTMLInputElement>): void => {
    const [file] = event.target.files ?? [];
    event.target.value = ""; // the same file may be chosen again
    if (file) void bring(file, texts).then(onImported);
  };
  return (
    <>
      <Dropdown
        trigger={["click"]}
        menu={{
          items: [
            { key: "import", label: texts.importFile, icon: <UploadOutlined /> },
            { key: "export", label: texts.exportAll, icon: <DownloadOutlined /> },
          ],
          onClick: ({ key }) => {
            if (key === "import") input.current?.click();
            else download(EXPORT_ALL_URL);
          },
        }}
      >
        <Button icon={<EllipsisOutlined />} aria-label={texts.more} title={texts.more} />
      </Dropdown>
      <input ref={input} type="file" accept=".json,.md" hidden aria-label={texts.importFile} onChange={take} />
    </>
  );
}

/** Lets the browser save what the address gives. */
export function download(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}

/** What became of a file, in words. */
async function bring(file: File, texts: Texts): Promise<string> {
  try {
    const outcomes = Object.values(await new ServerStore().bringFile(file.name, await file.text()));
    const count = (...names: string[]): number => outcomes.filter((it) => names.includes(it)).length;
    return texts.imported(count("added", "merged"), count("unchanged"), count("refused"));
  } catch (error) {
    if (error instanceof Refused && error.reason.code !== "invalid-request-body") {
      return texts.faults[error.reason.code] ?? error.reason.title;
    }
    return error instanceof Refused || error instanceof SyntaxError
      ? texts.importFailed
      : texts.states.unreachable;
  }
}
