/** What happens before the first word. */

import type { JSX } from "react";
import { useTexts, type Texts } from "../i18n";
import type { Stage } from "../state";

export function StageLine({ stage }: { stage: Stage }): JSX.Element {
  const texts = useTexts();
  const share = shareDone(stage);
  return (
    <output className="stage">
      <span className="pulse" aria-hidden />
      <span>{describe(stage, texts)}</span>
      {share !== undefined && <progress value={share} max={1} aria-hidden />}
    </output>
  );
}

function describe(stage: Stage, texts: Texts): string {
  switch (stage.name) {
    case "connecting":
      return texts.connecting;
    case "queued": {
      const wait = stage.wait_s ? ` (${texts.waitEstimate(Math.ceil(stage.wait_s))})` : "";
      return texts.queued(stage.position) + wait;
    }
    case "loading":
      return texts.loading(Math.round(stage.progress * 100));
    case "reading":
      return texts.reading(stage.done, stage.total);
  }
}

function shareDone(stage: Stage): number | undefined {
  if (stage.name === "loading") return stage.progress;
  if (stage.name === "reading" && stage.total > 0) return stage.done / stage.total;
  return undefined;
}
