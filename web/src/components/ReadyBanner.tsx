/** Says why the model cannot answer and what to do, above a page that stays usable. */

import { Alert } from "antd";
import type { JSX } from "react";
import { useTexts } from "../i18n";
import type { Problem, Readiness } from "../server_state";
import { WithCode } from "./WithCode";

export function ReadyBanner({ readiness }: { readiness: Readiness }): JSX.Element | null {
  const texts = useTexts();
  const title = texts.states[readiness.name];
  switch (readiness.name) {
    case "unknown":
    case "ready":
      return null;
    case "loading": {
      const percent = Math.round(readiness.progress * 100);
      return <Alert className="banner" banner type="info" title={texts.loading(percent)} />;
    }
    case "unreachable":
      return (
        <Alert
          className="banner"
          banner
          type="error"
          title={title}
          description={
            <>
              <p>
                <WithCode text={texts.unreachableFix} />
              </p>
              <p>{texts.offlineCopy}</p>
            </>
          }
        />
      );
    case "broken":
      return (
        <Alert
          className="banner"
          banner
          type="error"
          title={title}
          description={<Explanation problem={readiness.problem} />}
        />
      );
  }
}

function Explanation({ problem }: { problem: Problem }): JSX.Element {
  const texts = useTexts();
  return (
    <>
      <p>
        <strong>{texts.faults[problem.code] ?? problem.title}: </strong>
        <WithCode text={problem.cause} />
      </p>
      <p>
        <strong>{texts.fix}: </strong>
        <WithCode text={problem.fix} />
      </p>
      <code>{problem.code}</code>
    </>
  );
}
