/** The turns of one conversation, kept scrolled to the end unless the reader has scrolled away. */

import { Prompts, Welcome } from "@ant-design/x";
import { useEffect, useRef, type JSX, type RefObject } from "react";
import { shownTurns, versionsOf } from "../branches";
import { useTexts } from "../i18n";
import { canContinue, isRunning, type Conversation, type Turn } from "../state";
import { AnswerView } from "./AnswerView";
import { QuestionView } from "./QuestionView";
import { VersionSwitch } from "./VersionSwitch";

interface Props {
  conversation: Conversation | undefined;
  onAsk: (content: string) => void;
  onEdit: (questionId: string, content: string) => void;
  onAskAgain: (answerId: string) => void;
  onShow: (turnId: string) => void;
}

export function ThreadView({ conversation, onAsk, onEdit, onAskAgain, onShow }: Props): JSX.Element {
  const texts = useTexts();
  const turns = conversation ? shownTurns(conversation) : [];
  const box = useStuckToEnd(turns.length);
  const last = turns.at(-1);
  const isIdle = !isRunning(last);
  const draw = (turn: Turn): JSX.Element =>
    turn.role === "user" ? (
      <QuestionView question={turn} onEdit={isIdle ? onEdit : undefined} />
    ) : (
      <AnswerView answer={turn} isLast={turn === last} onAskAgain={onAskAgain} />
    );
  return (
    <main className="thread" ref={box}>
      <div className={turns.length === 0 ? "column beginning" : "column"} role="log" aria-label={texts.chats}>
        {turns.length === 0 &&
          (canContinue(conversation) ? <Beginning onAsk={onAsk} /> : <p className="fetching">{texts.fetching}</p>)}
        {turns.map((turn) => {
          const versions = isIdle && versionsOf(conversation?.turns ?? [], turn);
          return (
            <div key={turn.id} className={`turn ${turn.role}`}>
              {draw(turn)}
              {versions && <VersionSwitch versions={versions} onShow={onShow} />}
            </div>
          );
        })}
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
