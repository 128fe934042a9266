/**
 * The browser's copy of conversations: for an instant start, for reading while the server is away,
 * and for what could not be saved there. Knows nothing of the page or the network.
 */

import { toSettings } from "./settings";
import type { Conversation, Turn } from "./state";

/** Every method may reject: the page then goes on with what it has in memory and says so. */
export interface ConversationStore {
  list(): Promise<Conversation[]>;
  save(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>;
}

const PREFIX = "qwell.conversation.";

/** One entry per conversation, so that two tabs do not overwrite each other's. */
export class BrowserStore implements ConversationStore {
  constructor(private readonly storage: Storage = localStorage) {}

  async list(): Promise<Conversation[]> {
    return this.read();
  }

  /** What the server has, too, makes room for it, the oldest first. */
  async save(conversation: Conversation): Promise<void> {
    const text = JSON.stringify(conversation);
    for (;;) {
      try {
        this.storage.setItem(PREFIX + conversation.id, text);
        return;
      } catch (error) {
        const oldest = this.expendable(conversation.id);
        if (oldest === undefined) throw error;
        await this.remove(oldest);
      }
    }
  }

  async remove(id: string): Promise<void> {
    this.storage.removeItem(PREFIX + id);
  }

  private read(): Conversation[] {
    const keys = Object.keys(this.storage).filter((key) => key.startsWith(PREFIX));
    return keys.flatMap((key) => parse(this.storage.getItem(key)) ?? []);
  }

  private expendable(except: string): string | undefined {
    const copies = this.read().filter((it) => !it.isUnsaved && it.id !== except);
    return copies.toSorted((a, b) => a.updatedAt - b.updatedAt)[0]?.id;
  }
}

/** undefined for an entry that a foreign page has left in another shape. */
function parse(text: string | null): Conversation | undefined {
  try {
    const value = JSON.parse(text ?? "null") as Partial<Conversation> | null;
    const isWhole = typeof value?.id === "string" && Array.isArray(value.turns);
    return isWhole ? upgraded(value as Conversation) : undefined;
  } catch {
    return undefined;
  }
}

type Old = Partial<Conversation> & Pick<Conversation, "id" | "title" | "updatedAt" | "turns">;

/** Earlier pages kept one branch, in this browser only, and no settings. */
function upgraded(it: Old): Conversation {
  const settings = toSettings(it.settings);
  const { shown, isWhole, isUnsaved } = it;
  if (shown !== undefined && isWhole !== undefined && isUnsaved !== undefined) {
    return { ...it, shown, isWhole, isUnsaved, settings };
  }
  const turns = it.turns.map((turn, at): Turn => ({ ...turn, parent: it.turns[at - 1]?.id ?? null }));
  return { ...it, turns, shown: turns.at(-1)?.id ?? null, settings, isWhole: true, isUnsaved: true };
}
