/** A failure: its cause, what was seen, what to do about it, its name, and the ways on from here. */

import { Alert, Button } from "antd";
import { useEffect, useState, type JSX } from "react";
import { useFault, type Remedy } from "../faults";
import { useTexts, type Language } from "../i18n";
import { isIn } from "../language";
import type { Failure } from "../stream/events";
import { useSupport } from "../support";
import { WithCode } from "./WithCode";

interface Props {
  failure: Failure;
  onRetry: (() => void) | undefined; // undefined: the conversation has gone on
}

export function FailureCard({ failure, onRetry }: Props): JSX.Element {
  const texts = useTexts();
  const support = useSupport();
  const own = texts.failures[failure.code];
  const known = useFault(failure.code, own === undefined);
  const language: Language = texts.htmlLang === "en" ? "en" : "zh";
  const cause = own?.cause ?? known?.summary[language];
  return (
    <Alert
      className="failure"
      type="error"
      title={own?.title ?? texts.faults[failure.code] ?? known?.title[language] ?? (failure.title || failure.code)}
      description={
        <>
          {cause && (
            <p>
              <WithCode text={cause} />
            </p>
          )}
          {failure.cause && (
            <p>
              {cause && <strong>{texts.evidence}: </strong>}
              <WithCode text={failure.cause} />
            </p>
          )}
          <Fix failure={failure} own={own?.fix} remedy={known?.remedies[0]} language={language} />
          <p className="failure-code">
            <code>{failure.code}</code>
            {failure.request_id && (
              <span>
                {texts.requestId} <code>{failure.request_id}</code>
              </span>
            )}
          </p>
          <div className="failure-ways">
            {onRetry && <RetryButton waitS={failure.retry_after_s ?? 0} onRetry={onRetry} />}
            <Button size="small" onClick={() => support({ kind: "failure", failure })}>
              {texts.diagnose}
            </Button>
          </div>
        </>
      }
    />
  );
}

interface FixProps {
  failure: Failure;
  own: string | undefined;
  remedy: Remedy | undefined;
  language: Language;
}

/** The server's advice fits the case, in the language of its time; the catalogue's is general, in both. */
function Fix({ failure, own, remedy, language }: FixProps): JSX.Element | null {
  const texts = useTexts();
  const general = own ?? remedy?.do[language];
  const parts = failure.fix && isIn(language, failure.fix) ? [failure.fix] : [general, failure.fix].filter(Boolean);
  if (parts.length === 0) return null;
  return (
    <p>
      <strong>{texts.fix}: </strong>
      <WithCode text={parts.join(" ")} />
    </p>
  );
}

function RetryButton({ waitS, onRetry }: { waitS: number; onRetry: () => void }): JSX.Element {
  const texts = useTexts();
  const left = useCountdown(Math.ceil(waitS));
  return (
    <Button size="small" type="primary" disabled={left > 0} onClick={onRetry}>
      {left > 0 ? texts.retryIn(left) : texts.retry}
    </Button>
  );
}

/** Seconds left of those given when it was first drawn. */
function useCountdown(seconds: number): number {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setTimeout(() => setLeft(left - 1), 1_000);
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}
