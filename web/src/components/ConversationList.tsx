/** All conversations by day, or those that a search finds, with renaming, deleting and exporting. */

import { DeleteOutlined, DownloadOutlined, EditOutlined, PlusOutlined } from "@ant-design/icons";
import { Conversations } from "@ant-design/x";
import { Button, Input, Modal } from "antd";
import { memo, useEffect, useMemo, useState, type JSX } from "react";
import { useTexts, type Texts } from "../i18n";
import type { Listed } from "../listed";
import { useSearch } from "../search";
import { exportUrl, type Hit } from "../server_store";
import type { Conversation, Summary } from "../state";
import { download, FileMenu } from "./FileMenu";

interface Props {
  listed: readonly Listed[]; // the same list while nothing that is shown of it changes
  all: () => readonly Conversation[];
  currentId: string | null;
  onOpen: (id: string | null) => void;
  onOpenHit: (hit: Summary, turnId: string | null) => void;
  onRename: (id: string, title: string) => void;
  onRemove: (id: string) => void;
  onImported: (remark: string) => void;
}

/** Finds its field: the list may be there twice, in the page and in the drawer. */
export const SEARCH_FIELD = ".search-chats input";

/** Drawn again only when its list changes, not with every word of an answer. */
export const ConversationList = memo((props: Props): JSX.Element => {
  const texts = useTexts();
  const today = useToday();
  const [renamed, setRenamed] = useState<Listed | null>(null);
  const [query, setQuery] = useState("");
  const { listed } = props;
  const hits = useSearch(query, props.all);
  const items = useMemo(
    () =>
      listed.map((it) => ({
        key: it.id,
        label: it.title,
        group: dayOf(it.updatedAt, today, texts),
      })),
    [listed, texts, today],
  );
  const find = (key: string): Listed | undefined => listed.find((it) => it.id === key);
  return (
    <nav className="conversations" aria-label={texts.chats}>
      <div className="conversations-head">
        <Button block icon={<PlusOutlined />} onClick={() => props.onOpen(null)}>
          {texts.newChat}
        </Button>
        <FileMenu onImported={props.onImported} />
      </div>
      <Input.Search
        className="search-chats"
        allowClear
        aria-label={texts.search}
        placeholder={texts.search}
        maxLength={200}
        value={query}
        onChange={(event) => setQuery(event.target.value)}
      />
      {hits && <Hits hits={hits} currentId={props.currentId} onOpen={props.onOpenHit} />}
      {!hits && <Conversations
        items={items}
        activeKey={props.currentId ?? ""}
        groupable
        onActiveChange={(key) => props.onOpen(key)}
        menu={(item) => ({
          items: [
            { key: "rename", label: texts.rename, icon: <EditOutlined /> },
            { key: "markdown", label: texts.exportMarkdown, icon: <DownloadOutlined /> },
            { key: "json", label: texts.exportJson, icon: <DownloadOutlined /> },
            { key: "delete", label: texts.delete, icon: <DeleteOutlined />, danger: true },
          ],
          onClick: ({ key, domEvent }) => {
            domEvent.stopPropagation();
            const conversation = find(String(item.key));
            if (!conversation) return;
            if (key === "rename") setRenamed(conversation);
            else if (key === "delete") props.onRemove(conversation.id);
            else download(exportUrl(conversation.id, key as "markdown" | "json"));
          },
        })}
      />}
      {renamed && (
        <RenameDialog
          conversation={renamed}
          onClose={() => setRenamed(null)}
          onRename={(title) => props.onRename(renamed.id, title)}
        />
      )}
    </nav>
  );
});
ConversationList.displayName = "ConversationList";

interface HitsProps {
  hits: readonly Hit[];
  currentId: string | null;
  onOpen: (hit: Summary, turnId: string | null) => void;
}

function Hits({ hits, currentId, onOpen }: HitsProps): JSX.Element {
  const texts = useTexts();
  if (hits.length === 0) return <p className="nothing">{texts.nothingFound}</p>;
  const items = hits.map((hit) => ({
    key: hit.id,
    label: (
      <span className="hit">
        <span>{hit.title}</span>
        {hit.excerpt !== "" && <small>{hit.excerpt}</small>}
      </span>
    ),
  }));
  return (
    <Conversations
      className="hits"
      items={items}
      activeKey={currentId ?? ""}
      onActiveChange={(key) => {
        const hit = hits.find(({ id }) => id === key);
        if (!hit) return;
        const { turnId, excerpt: _, ...summary } = hit;
        onOpen(summary, turnId);
      }}
    />
  );
}

interface RenameProps {
  conversation: Listed;
  onRename: (title: string) => void;
  onClose: () => void;
}

function RenameDialog({ conversation, onRename, onClose }: RenameProps): JSX.Element {
  const texts = useTexts();
  const [title, setTitle] = useState(conversation.title);
  const save = (): void => {
    if (title.trim() !== "") onRename(title.trim());
    onClose();
  };
  return (
    <Modal open title={texts.rename} okText={texts.save} cancelText={texts.cancel} onOk={save} onCancel={onClose}>
      <Input
        // the dialog has nothing else to do
        // oxlint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        aria-label={texts.rename}
        maxLength={200}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onPressEnter={(event) => {
          if (!event.nativeEvent.isComposing) save();
        }}
      />
    </Modal>
  );
}

const DAY_MS = 86_400_000;

/** today: the time at which it began. */
export function dayOf(at: number, today: number, texts: Texts): string {
  if (at >= today) return texts.today;
  if (at >= today - DAY_MS) return texts.yesterday;
  return at >= today - 6 * DAY_MS ? texts.lastDays : texts.earlier;
}

/** When today began; moves on at midnight. */
function useToday(): number {
  const [today, setToday] = useState(startOfToday);
  useEffect(() => {
    const timer = setTimeout(() => setToday(startOfToday()), today + DAY_MS - Date.now());
    return () => clearTimeout(timer);
  }, [today]);
  return today;
}

function startOfToday(): number {
  return new Date().setHours(0, 0, 0, 0);
}
