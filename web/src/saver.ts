/** Writes changed conversations to the store, not too often. Knows nothing of React. */

import type { Conversation } from "./state";
import type { ConversationStore } from "./store";

const EVERY_MS = 1_000;

/** Begins with what the store holds; push then tells it what the page holds. */
export class Saver {
  private saved: readonly Conversation[];
  private latest: readonly Conversation[];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: ConversationStore,
    stored: readonly Conversation[],
    private readonly onResult: (succeeded: boolean) => void,
  ) {
    this.saved = stored;
    this.latest = stored;
  }

  /** Saves within a second. */
  push(conversations: readonly Conversation[]): void {
    this.latest = conversations;
    this.timer ??= setTimeout(() => this.flush(), EVERY_MS);
  }

  /** Saves now: for a page that is being left. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const [before, now] = [this.saved, this.latest];
    this.saved = now;
    const kept = new Set(now.map((it) => it.id));
    const gone = before.filter((it) => !kept.has(it.id));
    const changed = now.filter((it) => !before.includes(it));
    if (gone.length + changed.length === 0) return;
    Promise.all([
      ...changed.map((it) => this.store.save(it)),
      ...gone.map((it) => this.store.remove(it.id)),
    ]).then(
      () => this.onResult(true),
      () => this.onResult(false),
    );
  }
}
