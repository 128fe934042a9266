/** The page: puts the parts together and holds no rules of its own. */

import { XProvider } from "@ant-design/x";
import { Alert, Drawer } from "antd";
import { useCallback, useEffect, useState, type JSX } from "react";
import { Composer } from "./components/Composer";
import { ConversationList } from "./components/ConversationList";
import { CrashGuard } from "./components/CrashGuard";
import { PageHeader } from "./components/PageHeader";
import { ReadyBanner } from "./components/ReadyBanner";
import { ThreadView } from "./components/ThreadView";
import { Toast } from "./components/Toast";
import { WithCode } from "./components/WithCode";
import { useConversations, type Keeping } from "./conversations";
import { TextsContext, useLanguage, useTexts } from "./i18n";
import { useServerState } from "./server_state";
import { canContinue, currentConversation, isRunning, lastTurn, type Conversation } from "./state";
import { themeConfig, useTheme } from "./theme";

export function App(): JSX.Element {
  const [language, chooseLanguage, texts] = useLanguage();
  const [theme, chooseTheme, isDark] = useTheme();
  useEffect(() => {
    document.documentElement.lang = texts.htmlLang;
  }, [texts]);
  return (
    <TextsContext value={texts}>
      <CrashGuard>
        <XProvider theme={themeConfig(isDark)} button={{ autoInsertSpace: false }}>
          <Chat
            header={{
              theme,
              onTheme: chooseTheme,
              onLanguage: () => chooseLanguage(language === "en" ? "zh" : "en"),
            }}
          />
        </XProvider>
      </CrashGuard>
    </TextsContext>
  );
}

type HeaderChoices = Pick<Parameters<typeof PageHeader>[0], "theme" | "onTheme" | "onLanguage">;

function Chat({ header }: { header: HeaderChoices }): JSX.Element {
  const server = useServerState();
  const chats = useConversations();
  const conversation = currentConversation(chats.state);
  return (
    <div className="page">
      <Sidebar chats={chats}>
        {(openMenu) => (
          <div className="chat">
            <PageHeader server={server} onMenu={openMenu} {...header} />
            <ReadyBanner readiness={server.readiness} />
            <KeepingBanner keeping={chats.keeping} />
            <ThreadView
              key={chats.state.currentId}
              conversation={conversation}
              onAsk={chats.ask}
              onEdit={chats.edit}
              onAskAgain={chats.askAgain}
              onShow={chats.show}
            />
            <Composer
              isRunning={isRunning(lastTurn(conversation))}
              canAsk={canContinue(conversation)}
              onAsk={chats.ask}
              onStop={chats.stop}
            />
          </div>
        )}
      </Sidebar>
    </div>
  );
}

interface SidebarProps {
  chats: ReturnType<typeof useConversations>;
  children: (openMenu: () => void) => JSX.Element;
}

/** The list beside the chat, or in a drawer where there is no room beside it. */
function Sidebar({ chats, children }: SidebarProps): JSX.Element {
  const [isOpen, setIsOpen] = useState(false);
  const texts = useTexts();
  const [deleted, setDeleted] = useState<Conversation | null>(null);
  const [remark, setRemark] = useState<string | null>(null);
  const forget = useCallback(() => setDeleted(null), []);
  const forgetRemark = useCallback(() => setRemark(null), []);
  const list = (
    <ConversationList
      conversations={chats.state.conversations}
      currentId={chats.state.currentId}
      onOpen={(id) => {
        chats.open(id);
        setIsOpen(false);
      }}
      onOpenHit={(hit, turnId) => {
        chats.openHit(hit, turnId);
        setIsOpen(false);
      }}
      onRename={chats.rename}
      onRemove={(conversation) => {
        chats.remove(conversation.id);
        setDeleted(conversation);
      }}
      onImported={(text) => {
        forget();
        setRemark(text);
        chats.refresh();
      }}
    />
  );
  return (
    <>
      <aside className="sidebar">{list}</aside>
      <Drawer
        open={isOpen}
        onClose={() => setIsOpen(false)}
        placement="left"
        size={280}
        closable={false}
        destroyOnHidden
        styles={{ body: { padding: 0 } }}
      >
        {list}
      </Drawer>
      {children(() => setIsOpen(true))}
      {deleted && (
        <Toast
          key={deleted.id}
          text={texts.deleted}
          onExpire={forget}
          action={{
            label: texts.undo,
            onClick: () => {
              chats.restore(deleted);
              forget();
            },
          }}
        />
      )}
      {remark !== null && !deleted && <Toast key={remark} text={remark} onExpire={forgetRemark} />}
    </>
  );
}

/** Says where chats are kept when it is not where they should be. */
function KeepingBanner({ keeping }: { keeping: Keeping }): JSX.Element | null {
  const texts = useTexts();
  const { problem, isCopied } = keeping;
  if (!problem) return null;
  return (
    <Alert
      className="banner"
      banner
      type="warning"
      title={isCopied ? texts.unsavedChats : texts.storageFull}
      description={
        <>
          <p>
            <strong>{texts.faults[problem.code] ?? texts.failures[problem.code]?.title ?? problem.title}: </strong>
            <WithCode text={problem.cause} />
          </p>
          <p>
            <strong>{texts.fix}: </strong>
            <WithCode text={problem.fix} />
          </p>
          <code>{problem.code}</code>
        </>
      }
    />
  );
}
