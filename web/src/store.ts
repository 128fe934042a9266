/** Where conversations are kept. Knows their shape, nothing of the page or the network. */

import type { Conversation } from "./state";

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
    const keys = Object.keys(this.storage).filter((key) => key.startsWith(PREFIX));
    return keys.flatMap((key) => parse(this.storage.getItem(key)) ?? []);
  }

  async save(conversation: Conversation): Promise<void> {
    this.storage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
  }

  async remove(id: string): Promise<void> {
    this.storage.removeItem(PREFIX + id);
  }
}

/** undefined for an entry that an older or foreign page has left in another shape. */
function parse(text: string | null): Conversation | undefined {
  try {
    const value = JSON.parse(text ?? "null") as Partial<Conversation> | null;
    const isWhole = typeof value?.id === "string" && Array.isArray(value.turns);
    return isWhole ? (value as Conversation) : undefined;
  } catch {
    return undefined;
  }
}
