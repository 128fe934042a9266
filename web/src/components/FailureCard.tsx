/** A failure with its cause, what to do about it, its name, and another try. */

import { Alert, Button } from "antd";
import type { JSX } from "react";
import { useTexts } from "../i18n";
import type { Failure } from "../stream/events";
import { WithCode } from "./WithCode";

interface Props {
  failure: Failure;
  onRetry: (() => void) | undefined; // undefined: the conversation has gone on
}

export function FailureCard({ failure, onRetry }: Props): JSX.Element {
  const texts = useTexts();
  const own = texts.failures[failure.code];
  const fix = failure.fix || own?.fix;
  return (
    <Alert
      className="failure"
      type="error"
      title={own?.title ?? texts.faults[failure.code] ?? (failure.title || failure.code)}
      description={
        <>
          <p>
            <WithCode text={failure.cause || own?.cause || ""} />
          </p>
          {fix && (
            <p>
              <strong>{texts.fix}: </strong>
              <WithCode text={fix} />
            </p>
          )}
          <p className="failure-code">
            <code>{failure.code}</code>
            {failure.request_id && (
              <span>
                {texts.requestId} <code>{failure.request_id}</code>
              </span>
            )}
          </p>
          {onRetry && (
            <Button size="small" onClick={onRetry}>
              {texts.retry}
            </Button>
          )}
        </>
      }
    />
  );
}
