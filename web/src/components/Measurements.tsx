/** How fast an answer was and what it cost. */

import { Fragment, type JSX } from "react";
import { useTexts } from "../i18n";
import type { Timings, Usage } from "../stream/events";

interface Props {
  usage: Usage | null;
  timings: Timings | null;
}

export function Measurements({ usage, timings }: Props): JSX.Element | null {
  const texts = useTexts();
  if (!usage || !timings || usage.completion_tokens === 0) return null;
  const parts = [
    texts.ttft(duration(timings.ttft_ms)),
    texts.rate(timings.tok_s.toFixed(1)),
    texts.tokens(usage.completion_tokens),
    texts.promptTokens(usage.prompt_tokens, usage.cached_tokens),
  ];
  return (
    <span className="measurements">
      {parts.map((part, index) => (
        <Fragment key={part}>
          {index > 0 && " · "}
          <span>{part}</span>
        </Fragment>
      ))}
    </span>
  );
}

function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
