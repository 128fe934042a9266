/** Files that go with the message, each to be taken away again. */

import { CloseOutlined, FileTextOutlined } from "@ant-design/icons";
import { Button } from "antd";
import type { JSX } from "react";
import type { TextFile } from "../drafts";
import { useTexts } from "../i18n";

interface Props {
  files: readonly TextFile[];
  onRemove: (file: TextFile) => void;
}

export function FileChips({ files, onRemove }: Props): JSX.Element | null {
  const texts = useTexts();
  if (files.length === 0) return null;
  return (
    <ul className="files">
      {files.map((file, index) => (
        // oxlint-disable-next-line no-array-index-key -- two files may have one name
        <li key={`${file.name}-${index}`}>
          <FileTextOutlined aria-hidden />
          <span>{file.name}</span>
          <Button
            type="text"
            size="small"
            icon={<CloseOutlined />}
            aria-label={texts.removeFile(file.name)}
            onClick={() => onRemove(file)}
          />
        </li>
      ))}
    </ul>
  );
}
