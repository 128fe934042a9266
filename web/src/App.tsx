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
import { UndoBar } from "./components/UndoBar";
import { useConversations } from "./conversations";
import { TextsContext, useLanguage, useTexts } from "./i18n";
import { useServerState } from "./server_state";
import { currentConversation, isRunning, type Conversation } from "./state";
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
            {!chats.isStored && <StorageWarning />}
            <ThreadView key={chats.state.currentId} conversation={conversation} onAsk={chats.ask} onAskAgain={chats.askAgain} />
            <Composer
              isRunning={isRunning(conversation?.turns.at(-1))}
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
  const [deleted, setDeleted] = useState<Conversation | null>(null);
  const forget = useCallback(() => setDeleted(null), []);
  const list = (
    <ConversationList
      conversations={chats.state.conversations}
      currentId={chats.state.currentId}
      onOpen={(id) => {
        chats.open(id);
        setIsOpen(false);
      }}
      onRename={chats.rename}
      onRemove={(conversation) => {
        chats.remove(conversation.id);
        setDeleted(conversation);
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
        <UndoBar
          key={deleted.id}
          onExpire={forget}
          onUndo={() => {
            chats.restore(deleted);
            forget();
          }}
        />
      )}
    </>
  );
}

function StorageWarning(): JSX.Element {
  const texts = useTexts();
  return <Alert className="banner" banner type="warning" title={texts.storageFull} />;
}
