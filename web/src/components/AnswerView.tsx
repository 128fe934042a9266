/** One answer: its text, what is happening before the text, and how it went after. */

import { FastForwardOutlined, ReloadOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button } from "antd";
import { memo, type JSX } from "react";
import { useTexts, type Texts } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import { toSettings, type Sampling } from "../settings";
import type { Answer } from "../state";
import { useSupport } from "../support";
import { CopyButton } from "./CopyButton";
import { FailureCard } from "./FailureCard";
import { Measurements } from "./Measurements";
import { StageLine } from "./StageLine";

interface Props {
  answer: Answer;
  isLast: boolean;
  onAskAgain: (answerId: string, sampling?: Sampling) => void;
  onGoOn: (answerId: string) => void;
}

/** Drawn again only when its own answer changes. */
export const AnswerView = memo(({ answer, isLast, onAskAgain, onGoOn }: Props) => (
  <Bubble
    className="answer"
    placement="start"
    variant="borderless"
    content={<Content answer={answer} onRetry={isLast ? () => onAskAgain(answer.id) : undefined} />}
    footer={<Footer answer={answer} isLast={isLast} onAskAgain={onAskAgain} onGoOn={onGoOn} />}
  />
));
AnswerView.displayName = "AnswerView";

interface ContentProps {
  answer: Answer;
  onRetry: (() => void) | undefined;
}

function Content({ answer, onRetry }: ContentProps): JSX.Element {
  const texts = useTexts();
  const { progress, content } = answer;
  return (
    <>
      {progress.name === "waiting" && <StageLine stage={progress.stage} />}
      {content !== "" && <Markdown text={content} isGrowing={progress.name === "writing"} />}
      {remarks(answer, texts).map((remark) => (
        <p key={remark} className="notice">
          {remark}
        </p>
      ))}
      <Offer answer={answer} />
      {progress.name === "failed" && <FailureCard failure={progress.failure} onRetry={onRetry} />}
    </>
  );
}

/** What the reader should know about this answer, each thing once. */
function remarks({ notices, progress }: Answer, texts: Texts): string[] {
  const told = notices.filter(({ code }) => code !== OFFERED);
  const all = told.map(({ code, detail }) =>
    detail.saved === false ? texts.unsavedAnswer(texts.faults[code] ?? code) : (texts.notices[code] ?? code),
  );
  if (progress.name === "done") all.push(texts.reasons[progress.reason]);
  return [...new Set(all)].filter((remark) => remark !== "");
}

const OFFERED = "diagnosis-offered";

/** The question was a complaint about this program, or a log: help is one press away. */
function Offer({ answer }: { answer: Answer }): JSX.Element | null {
  const texts = useTexts();
  const support = useSupport();
  const offered = answer.notices.find(({ code }) => code === OFFERED)?.detail;
  if (!offered) return null;
  const requestId = typeof offered.request_id === "string" ? offered.request_id : "";
  return (
    <p className="notice offered">
      {texts.offers[String(offered.kind)] ?? texts.offers.complaint}{" "}
      <Button size="small" onClick={() => support({ kind: "offer", answerId: answer.id, requestId })}>
        {texts.diagnose}
      </Button>
    </p>
  );
}

function Footer({ answer, isLast, onAskAgain, onGoOn }: Props): JSX.Element | null {
  const texts = useTexts();
  const { progress, content } = answer;
  if (progress.name !== "done") return null;
  const isCut = progress.reason !== "stop" && progress.reason !== "repetition" && content !== "";
  const livelier = retryOf(answer);
  return (
    <div className="answer-footer">
      {content !== "" && <CopyButton text={content} />}
      {isLast && (
        <Button
          type="text"
          size="small"
          icon={<ReloadOutlined />}
          aria-label={texts.regenerate}
          title={texts.regenerate}
          onClick={() => onAskAgain(answer.id)}
        />
      )}
      {isLast && isCut && (
        <Button size="small" icon={<FastForwardOutlined />} onClick={() => onGoOn(answer.id)}>
          {texts.continueAnswer}
        </Button>
      )}
      {isLast && livelier && (
        <Button size="small" onClick={() => onAskAgain(answer.id, livelier)}>
          {texts.retryLivelier}
        </Button>
      )}
      <Measurements usage={progress.usage} timings={progress.timings} />
    </div>
  );
}

/** What the server advises for the next try. */
function retryOf({ notices }: Answer): Sampling | undefined {
  const advice = notices.map(({ detail }) => detail.retry).find((it) => it !== undefined);
  return advice === undefined ? undefined : toSettings(advice).sampling;
}
