/** Reads server-sent events from bytes. Knows the wire format, not what the data means. */

/**
 * Yields the data of each event, and null for each chunk that completes none: the peer lives.
 *
 * Chunks may end anywhere, inside a character or between the two bytes of a line end. An event
 * that the peer did not finish is dropped, as the standard demands.
 */
export async function* readSse(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<string | null, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // a lone \r at the end may be the first half of \r\n
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    let completed = false;
    for (const line of lines) {
      if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      } else if (line === "" && data.length > 0) {
        completed = true;
        yield data.join("\n");
        data = [];
      }
    }
    if (!completed) yield null;
  }
}

/** Safari cannot iterate a body yet. Cancels the body when the reader stops early. */
export async function* bodyChunks(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // the connection may be gone already
  }
}
