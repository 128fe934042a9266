/** The turns of one conversation, those in sight only, kept at the end unless the reader scrolls away. */

import { DownOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useMemo, useRef, type JSX } from "react";
import { Virtualizer } from "virtua";
import { shownTurns, versionsOf } from "../branches";
import { useTexts } from "../i18n";
import type { Sampling } from "../settings";
import { canContinue, isRunning, type Conversation, type Turn } from "../state";
import { useStuckToEnd } from "../stuck_to_end";
import { AnswerView } from "./AnswerView";
import { QuestionView } from "./QuestionView";
import { VersionSwitch } from "./VersionSwitch";

interface Props {
  conversation: Conversation | undefined;
  onAsk: (content: string) => void;
  onEdit: (questionId: string, content: string) => void;
  onAskAgain: (answerId: string, sampling?: Sampling) => void;
  onGoOn: (answerId: string) => void;
  onShow: (turnId: string) => void;
}

const OUT_OF_SIGHT_PX = 600; // drawn above and below what is seen

export function ThreadView({ conversation, onAsk, onEdit, onAskAgain, onGoOn, onShow }: Props): JSX.Element {
  const texts = useTexts();
  const turns = useMemo(() => (conversation ? shownTurns(conversation) : []), [conversation]);
  const box = useRef<HTMLElement>(null);
  const { isAtEnd, toEnd } = useStuckToEnd(box, turns.length);
  const last = turns.at(-1);
  const isIdle = !isRunning(last);
  const draw = (turn: Turn): JSX.Element => {
    const versions = isIdle && versionsOf(conversation?.turns ?? [], turn);
    return (
      <article key={turn.id} className={`turn ${turn.role}`} aria-label={turn.role === "user" ? texts.you : texts.assistant}>
        {turn.role === "user" ? (
          <QuestionView question={turn} onEdit={isIdle ? onEdit : undefined} />
        ) : (
          <AnswerView answer={turn} isLast={turn === last} onAskAgain={onAskAgain} onGoOn={onGoOn} />
        )}
        {versions && <VersionSwitch versions={versions} onShow={onShow} />}
      </article>
    );
  };
  return (
    <div className="thread-frame">
      {/* a long thread scrolls by itself; the keyboard must reach it to do so */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <main className="thread" ref={box} tabIndex={0} aria-label={texts.messages}>
        <h2 className="for-screen-readers">{texts.messages}</h2>
        {turns.length === 0 ? (
          <div className="column beginning">
            {canContinue(conversation) ? <Beginning onAsk={onAsk} /> : <p className="fetching">{texts.fetching}</p>}
          </div>
        ) : (
          <div className="column turns" role="log" aria-label={texts.messages} aria-busy={!isIdle}>
            <Virtualizer scrollRef={box} data={turns} bufferSize={OUT_OF_SIGHT_PX} startMargin={TOP_PX}>
              {draw}
            </Virtualizer>
          </div>
        )}
      </main>
      {!isAtEnd && (
        <Button
          className="to-end"
          shape="circle"
          icon={<DownOutlined />}
          aria-label={texts.jumpToEnd}
          title={texts.jumpToEnd}
          onClick={toEnd}
        />
      )}
    </div>
  );
}

const TOP_PX = 24; // above the first turn, as in page.css

function Beginning({ onAsk }: { onAsk: (content: string) => void }): JSX.Element {
  const texts = useTexts();
  return (
    <>
      <div className="welcome">
        <img src="/favicon.svg" alt="" width={44} height={44} />
        <div>
          <h3>{texts.welcome}</h3>
          <p>{texts.welcomeHint}</p>
        </div>
      </div>
      <ul className="prompts">
        {texts.prompts.map((prompt) => (
          <li key={prompt}>
            <Button size="large" onClick={() => onAsk(prompt)}>
              {prompt}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}
