/** What the person wrote, as they wrote it, and another go at it. */

import { EditOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button, Input } from "antd";
import { memo, useState, type JSX } from "react";
import { useTexts } from "../i18n";
import type { Question } from "../state";
import { CopyButton } from "./CopyButton";

interface Props {
  question: Question;
  onEdit: ((questionId: string, content: string) => void) | undefined; // undefined: not now
}

/** Drawn again only when editing becomes possible or impossible. */
export const QuestionView = memo(({ question, onEdit }: Props) => {
  const [isEdited, setIsEdited] = useState(false);
  const texts = useTexts();
  if (isEdited && onEdit) {
    return (
      <Editor
        content={question.content}
        onCancel={() => setIsEdited(false)}
        onSend={(content) => {
          setIsEdited(false);
          onEdit(question.id, content);
        }}
      />
    );
  }
  return (
    <Bubble
      className="question"
      placement="end"
      variant="filled"
      content={<div className="plain">{question.content}</div>}
      footer={
        <div className="question-footer">
          <CopyButton text={question.content} />
          {onEdit && (
            <Button
              type="text"
              size="small"
              icon={<EditOutlined />}
              aria-label={texts.edit}
              title={texts.edit}
              onClick={() => setIsEdited(true)}
            />
          )}
        </div>
      }
    />
  );
});
QuestionView.displayName = "QuestionView";

interface EditorProps {
  content: string;
  onSend: (content: string) => void;
  onCancel: () => void;
}

function Editor({ content, onSend, onCancel }: EditorProps): JSX.Element {
  const texts = useTexts();
  const [draft, setDraft] = useState(content);
  const canSend = draft.trim() !== "";
  return (
    <div className="question-editor">
      <Input.TextArea
        // whoever chose to edit wants to write
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        aria-label={texts.edit}
        autoSize={{ minRows: 2, maxRows: 12 }}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
        }}
      />
      <div>
        <Button size="small" onClick={onCancel}>
          {texts.cancel}
        </Button>
        <Button size="small" type="primary" disabled={!canSend} onClick={() => onSend(draft.trim())}>
          {texts.send}
        </Button>
      </div>
    </div>
  );
}
