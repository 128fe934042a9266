import { afterEach, expect, test, vi } from "vitest";
import { ask } from "../src/ask";
import { acceptLanguage, isIn, LANGUAGE_KEY } from "../src/language";
import { writeStored } from "../src/stored";

afterEach(() => {
  vi.unstubAllGlobals();
  writeStored(LANGUAGE_KEY, null);
});

test("the server is asked in the language of the page, not in the browser's", async () => {
  const fetched = vi.fn(async (_url: string, _init: RequestInit) => Response.json({}));
  vi.stubGlobal("fetch", fetched);
  for (const [chosen, expected] of [
    ["zh", "zh-CN"],
    ["en", "en"],
  ] as const) {
    writeStored(LANGUAGE_KEY, chosen);
    await ask("/api/x", { headers: { accept: "text/event-stream" } });
    expect(fetched.mock.lastCall?.[1].headers).toEqual({ accept: "text/event-stream", "accept-language": expected });
  }
});

test("what was never chosen is the browser's", () => {
  vi.stubGlobal("navigator", { language: "zh-TW" });
  expect(acceptLanguage()).toEqual({ "accept-language": "zh-CN" });
  vi.stubGlobal("navigator", { language: "de" });
  expect(acceptLanguage()).toEqual({ "accept-language": "en" });
});

test("a text of the server shows its language", () => {
  expect(isIn("zh", "重新发送消息，或运行 `qwell doctor`")).toBe(true);
  expect(isIn("zh", "send the message again")).toBe(false);
  expect(isIn("en", "send the message again")).toBe(true);
});
