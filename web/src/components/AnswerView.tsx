/** One answer: its text, what is happening before the text, and how it went after. */

import { ReloadOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button } from "antd";
import { memo, type JSX } from "react";
import { useTexts } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import type { Answer } from "../state";
import { CopyButton } from "./CopyButton";
import { FailureCard } from "./FailureCard";
import { Measurements } from "./Measurements";
import { StageLine } from "./StageLine";

interface Props {
  answer: Answer;
  isLast: boolean;
  onAskAgain: (answerId: string) => void;
}

/** Drawn again only when its own answer changes. */
export const AnswerView = memo(({ answer, isLast, onAskAgain }: Props) => (
  <Bubble
    className="answer"
    placement="start"
    variant="borderless"
    content={<Content answer={answer} onRetry={() => onAskAgain(answer.id)} />}
    footer={<Footer answer={answer} onAskAgain={isLast ? () => onAskAgain(answer.id) : undefined} />}
  />
));
AnswerView.displayName = "AnswerView";

function Content({ answer, onRetry }: { answer: Answer; onRetry: () => void }): JSX.Element {
  const texts = useTexts();
  const { progress, content, notices } = answer;
  return (
    <>
      {progress.name === "waiting" && <StageLine stage={progress.stage} />}
      {content !== "" && <Markdown text={content} isGrowing={progress.name === "writing"} />}
      {notices.map((notice) => (
        <p key={notice.code} className="notice">
          {texts.notices[notice.code] ?? notice.code}
        </p>
      ))}
      {progress.name === "done" && texts.reasons[progress.reason] !== "" && (
        <p className="notice">{texts.reasons[progress.reason]}</p>
      )}
      {progress.name === "failed" && <FailureCard failure={progress.failure} onRetry={onRetry} />}
    </>
  );
}

function Footer({ answer, onAskAgain }: { answer: Answer; onAskAgain: (() => void) | undefined }): JSX.Element | null {
  const texts = useTexts();
  const { progress } = answer;
  if (progress.name !== "done") return null;
  return (
    <div className="answer-footer">
      {answer.content !== "" && <CopyButton text={answer.content} />}
      {onAskAgain && (
        <Button
          type="text"
          size="small"
          icon={<ReloadOutlined />}
          aria-label={texts.regenerate}
          title={texts.regenerate}
          onClick={onAskAgain}
        />
      )}
      <Measurements usage={progress.usage} timings={progress.timings} />
    </div>
  );
}
