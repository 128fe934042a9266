/** The turns of one conversation, kept scrolled to the end unless the reader has scrolled away. */

import { Prompts, Welcome } from "@ant-design/x";
import { useEffect, useRef, type JSX, type RefObject } from "react";
import { useTexts } from "../i18n";
import type { Conversation } from "../state";
import { AnswerView } from "./AnswerView";
import { QuestionView } from "./QuestionView";

interface Props {
  conversation: Conversation | undefined;
  onAsk: (content: string) => void;
  onAskAgain: (answerId: string) => void;
}

export function ThreadView({ conversation, onAsk, onAskAgain }: Props): JSX.Element {
  const texts = useTexts();
  const turns = conversation?.turns ?? [];
  const box = useStuckToEnd(turns.length);
  const last = turns.at(-1);
  return (
    <main className="thread" ref={box}>
      <div className={turns.length === 0 ? "column beginning" : "column"} role="log" aria-label={texts.chats}>
        {turns.length === 0 && <Beginning onAsk={onAsk} />}
        {turns.map((turn) =>
          turn.role === "user" ? (
            <QuestionView key={turn.id} question={turn} />
          ) : (
            <AnswerView key={turn.id} answer={turn} isLast={turn === last} onAskAgain={onAskAgain} />
          ),
        )}
      </div>
    </main>
  );
}

function Beginning({ onAsk }: { onAsk: (content: string) => void }): JSX.Element {
  const texts = useTexts();
  return (
    <>
      <Welcome
        variant="borderless"
        icon={<img src="/favicon.svg" alt="" width={44} height={44} />}
        title={texts.welcome}
        description={texts.welcomeHint}
      />
      <Prompts
        wrap
        items={texts.prompts.map((prompt) => ({ key: prompt, description: prompt }))}
        onItemClick={({ data }) => onAsk(data.key)}
      />
    </>
  );
}

const NEAR_END_PX = 48;

/** Follows growing content; stops when the reader scrolls up, goes on when they come back or ask. */
function useStuckToEnd(turnCount: number): RefObject<HTMLElement | null> {
  const box = useRef<HTMLElement>(null);
  const isStuck = useRef(true);
  const seenCount = useRef(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const note = (): void => {
      const below = element.scrollHeight - element.scrollTop - element.clientHeight;
      isStuck.current = below < NEAR_END_PX;
    };
    const follow = (): void => {
      if (isStuck.current) element.scrollTop = element.scrollHeight;
    };
    element.addEventListener("scroll", note, { passive: true });
    const growth = new ResizeObserver(follow);
    growth.observe(element);
    for (const child of element.children) growth.observe(child);
    return () => {
      element.removeEventListener("scroll", note);
      growth.disconnect();
    };
  }, []);
  useEffect(() => {
    if (turnCount > seenCount.current && box.current) {
      isStuck.current = true;
      box.current.scrollTop = box.current.scrollHeight;
    }
    seenCount.current = turnCount;
  }, [turnCount]);
  return box;
}
