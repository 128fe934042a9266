/** What the person wrote, as they wrote it. */

import { Bubble } from "@ant-design/x";
import { memo } from "react";
import type { Question } from "../state";

export const QuestionView = memo(({ question }: { question: Question }) => (
  <Bubble
    className="question"
    placement="end"
    variant="filled"
    content={<div className="plain">{question.content}</div>}
  />
));
QuestionView.displayName = "QuestionView";
