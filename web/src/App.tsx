/** The page: puts the parts together and holds no rules of its own. */

import { XProvider } from "@ant-design/x";
import { Alert, Drawer } from "antd";
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, type JSX } from "react";
import { TRANSPORT_CHOICES } from "./answering";
import { shownTurns } from "./branches";
import type { Command } from "./commands";
import { Composer } from "./components/Composer";
import { ConversationList, SEARCH_FIELD } from "./components/ConversationList";
import { CrashGuard } from "./components/CrashGuard";
import { download } from "./components/FileMenu";
import { PageHeader } from "./components/PageHeader";
import { ReadyBanner } from "./components/ReadyBanner";
import type { PageChoices } from "./components/SettingsDrawer";
import { SidePanel } from "./components/SidePanel";
import { ThreadView } from "./components/ThreadView";
import { Toast } from "./components/Toast";
import { WithCode } from "./components/WithCode";
import { useConversations } from "./conversations";
import { useOpening, type Opening } from "./doctor/opening";
import { TEXTS, TextsContext, useLanguage, useTexts, type Language } from "./i18n";
import type { Keeping } from "./keeping";
import { useListed } from "./listed";
import { usePreference } from "./preference";
import { exportUrl } from "./server_store";
import { useServerState } from "./server_state";
import { useDefaults, type AnswerSettings } from "./settings";
import { useShortcuts } from "./shortcuts";
import { canContinue, currentConversation, isRunning, lastTurn, type Conversation, type State } from "./state";
import { SupportContext, type SupportCase } from "./support";
import { themeConfig, useTheme } from "./theme";
import { useFreshPage } from "./worker_client";

const SettingsDrawer = lazy(() => import("./components/SettingsDrawer"));
const HelpDialog = lazy(() => import("./components/HelpDialog"));
const loadDoctor = (): Promise<typeof import("./doctor/DoctorPanel")> => import("./doctor/DoctorPanel");
const DoctorPanel = lazy(loadDoctor);
const QUIET_MS = 2_000;

export function App(): JSX.Element {
  const [languageChoice, onLanguage, language] = useLanguage();
  const [theme, onTheme, isDark] = useTheme();
  const [transport, onTransport] = usePreference("transport", TRANSPORT_CHOICES, "auto");
  const texts = TEXTS[language];
  useEffect(() => {
    document.documentElement.lang = texts.htmlLang;
  }, [texts]);
  useEffect(() => {
    // it has to be here when the server no longer is
    const timer = setTimeout(() => void loadDoctor().catch(() => undefined), QUIET_MS);
    return () => clearTimeout(timer);
  }, []);
  const config = useMemo(() => themeConfig(isDark), [isDark]);
  const page: PageChoices = { theme, onTheme, language: languageChoice, onLanguage, transport, onTransport };
  return (
    <TextsContext value={texts}>
      <CrashGuard>
        <XProvider theme={config} button={BUTTONS}>
          <Chat page={page} language={language} isDark={isDark} />
        </XProvider>
      </CrashGuard>
    </TextsContext>
  );
}

const BUTTONS = { autoInsertSpace: false };

interface ChatProps {
  page: PageChoices;
  language: Language;
  isDark: boolean;
}

type Overlay = "menu" | "settings" | "help" | null;

function Chat({ page, language, isDark }: ChatProps): JSX.Element {
  const texts = useTexts();
  const server = useServerState(language);
  const [defaults, setDefaults] = useDefaults();
  const [ofNext, setOfNext] = useState<AnswerSettings | null>(null); // of the chat that is not yet begun
  const fresh = ofNext ?? defaults;
  const [remark, setRemark] = useState<string | null>(null);
  const onMissing = useCallback(() => setRemark(texts.missingChat), [texts]);
  const choices = { transport: page.transport, defaults: fresh, onMissing };
  const { state, keeping, actions } = useConversations(choices);
  const conversation = currentConversation(state);
  const [shownId, setShownId] = useState(state.currentId);
  if (shownId !== state.currentId) {
    setShownId(state.currentId);
    setOfNext(null);
  }
  const [overlay, setOverlay] = useState<Overlay>(null);
  const close = useCallback(() => setOverlay(null), []);
  const [opening, setOpening] = useOpening();
  const [deleted, setDeleted] = useState<Conversation | null>(null);
  const latest = useRef(state);
  useEffect(() => {
    latest.current = state;
  });
  useReconnect(server.readiness.name, actions.reconnect);

  const all = useCallback(() => latest.current.conversations, []);
  const sent = useCallback(() => sentIn(latest.current), []);
  const remove = useCallback(
    (id: string) => {
      setDeleted(latest.current.conversations.find((it) => it.id === id) ?? null);
      actions.remove(id);
    },
    [actions],
  );
  const support = useCallback((it: SupportCase) => {
    setOpening(toOpening(it, latest.current));
  }, [setOpening]);
  const openDoctor = useCallback(() => support({ kind: "panel" }), [support]);
  const { onTheme, onLanguage } = page;
  const openMenu = useCallback(() => setOverlay("menu"), []);
  const openSettings = useCallback(() => setOverlay("settings"), []);
  const switchLanguage = useCallback(() => onLanguage(language === "en" ? "zh" : "en"), [language, onLanguage]);
  const tune = useCallback(
    (settings: AnswerSettings) => {
      const { currentId } = latest.current;
      if (currentId === null) setOfNext(settings);
      else actions.tune(currentId, settings);
    },
    [actions],
  );
  const command = useCallback(
    ({ name, rest }: Command) => {
      const { currentId, conversations } = latest.current;
      const current = conversations.find((it) => it.id === currentId);
      const last = lastTurn(current);
      switch (name) {
        case "new":
          return actions.open(null);
        case "system":
          return tune({ ...(current?.settings ?? fresh), system: rest });
        case "settings":
          return setOverlay("settings");
        case "doctor":
          return openDoctor();
        case "help":
          return setOverlay("help");
        case "export":
          return current && download(exportUrl(current.id, "markdown"));
        case "clear":
          return current && remove(current.id);
        case "retry":
          return last?.role === "assistant" ? actions.askAgain(last.id) : undefined;
        case "theme":
          return onTheme(isDark ? "light" : "dark");
      }
    },
    [actions, fresh, isDark, onTheme, openDoctor, remove, tune],
  );
  useShortcuts({
    onNew: () => actions.open(null),
    onSearch: () => {
      if (!focusSearch()) setOverlay("menu"); // on a phone it is in the drawer
    },
    onSettings: () => setOverlay("settings"),
    onHelp: () => setOverlay("help"),
    onEscape: () => (opening ? setOpening(null) : actions.stop()),
  });

  const list = (
    <ConversationList
      listed={useListed(state.conversations)}
      all={all}
      currentId={state.currentId}
      onOpen={useCallback(
        (id) => {
          actions.open(id);
          close();
        },
        [actions, close],
      )}
      onOpenHit={useCallback(
        (hit, turnId) => {
          actions.openHit(hit, turnId);
          close();
        },
        [actions, close],
      )}
      onRename={actions.rename}
      onRemove={remove}
      onImported={useCallback(
        (text) => {
          setDeleted(null);
          setRemark(text);
          actions.refresh();
        },
        [actions],
      )}
    />
  );
  return (
    <SupportContext value={support}>
      <div className="page">
        <aside className="sidebar">{list}</aside>
        <Drawer
          open={overlay === "menu"}
          onClose={close}
          placement="left"
          size={280}
          closable={false}
          destroyOnHidden
          afterOpenChange={(isOpen) => isOpen && focusSearch()}
          aria-label={texts.chats}
          styles={DRAWER_STYLES}
        >
          {list}
        </Drawer>
        <div className="chat">
          <PageHeader
            server={server}
            theme={page.theme}
            onTheme={onTheme}
            onLanguage={switchLanguage}
            onMenu={openMenu}
            onSettings={openSettings}
            onDoctor={openDoctor}
          />
          <ReadyBanner readiness={server.readiness} />
          <KeepingBanner keeping={keeping} />
          <ThreadView
            key={state.currentId}
            conversation={conversation}
            onAsk={actions.ask}
            onEdit={actions.edit}
            onAskAgain={actions.askAgain}
            onGoOn={actions.goOn}
            onShow={actions.show}
          />
          <Composer
            conversationId={state.currentId}
            isRunning={isRunning(lastTurn(conversation))}
            canAsk={canContinue(conversation)}
            sent={sent}
            onAsk={actions.ask}
            onStop={actions.stop}
            onCommand={command}
            onRemark={setRemark}
          />
        </div>
        {opening && (
          <SidePanel title={texts.diagnosis} onClose={() => setOpening(null)}>
            <CrashGuard>
              <DoctorPanel opening={opening} />
            </CrashGuard>
          </SidePanel>
        )}
      </div>
      <Suspense>
        {overlay === "settings" && (
          <SettingsDrawer
            ofChat={conversation?.settings ?? fresh}
            onChat={tune}
            ofNew={defaults}
            onNew={setDefaults}
            page={page}
            onClose={close}
          />
        )}
        {overlay === "help" && <HelpDialog onClose={close} />}
      </Suspense>
      <Toasts
        deleted={deleted}
        onRestore={actions.restore}
        onForget={() => setDeleted(null)}
        remark={remark}
        onForgetRemark={() => setRemark(null)}
      />
    </SupportContext>
  );
}

/** With the words that are meant, and where they stand. */
function toOpening(it: SupportCase, { conversations, currentId }: State): Opening {
  const own = currentId === null ? {} : { conversation: currentId };
  if (it.kind === "failure") return { ...it, ...own };
  if (it.kind !== "offer") return it;
  const turns = conversations.find(({ id }) => id === currentId)?.turns ?? [];
  const question = turns.find(({ id }) => id === turns.find((turn) => turn.id === it.answerId)?.parent);
  return { kind: "offer", text: question?.content ?? "", request_id: it.requestId, ...own };
}

const DRAWER_STYLES = { body: { padding: 0 } };

/** False where it is not in sight. */
function focusSearch(): boolean {
  const fields = document.querySelectorAll<HTMLElement>(SEARCH_FIELD);
  const field = [...fields].find((it) => it.offsetParent !== null);
  field?.focus();
  return field !== undefined;
}

/** Messages of the person, of this conversation first, the newest first. */
function sentIn({ conversations, currentId }: State): readonly string[] {
  const sorted = conversations.toSorted((a, b) => Number(b.id === currentId) - Number(a.id === currentId));
  const all = sorted.flatMap((it) => shownTurns(it).filter(({ role }) => role === "user").toReversed());
  return [...new Set(all.map(({ content }) => content))];
}

/** What was lost while the server was away is fetched when it is there again. */
function useReconnect(readiness: string, reconnect: () => void): void {
  const before = useRef(readiness);
  useEffect(() => {
    if (before.current === "unreachable" && readiness !== "unreachable") reconnect();
    before.current = readiness;
  }, [readiness, reconnect]);
}

interface ToastsProps {
  deleted: Conversation | null;
  onRestore: (conversation: Conversation) => void;
  onForget: () => void;
  remark: string | null;
  onForgetRemark: () => void;
}

/** What just happened, one thing at a time. */
function Toasts({ deleted, onRestore, onForget, remark, onForgetRemark }: ToastsProps): JSX.Element | null {
  const texts = useTexts();
  const isUpdated = useFreshPage();
  if (deleted) {
    const restore = (): void => {
      onRestore(deleted);
      onForget();
    };
    const action = { label: texts.undo, onClick: restore };
    return <Toast key={deleted.id} text={texts.deleted} onExpire={onForget} action={action} />;
  }
  if (remark !== null) return <Toast key={remark} text={remark} onExpire={onForgetRemark} />;
  if (!isUpdated) return null;
  return <Toast text={texts.updated} action={{ label: texts.reload, onClick: () => location.reload() }} />;
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
