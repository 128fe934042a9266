import { expect, test } from "vitest";

import { retold } from "../../src/doctor/findings";
import { zh } from "../../src/doctor/texts/zh";

test("a reason is told in other words, and keeps what was filled in", () => {
  expect(retold("an old page runs here", zh.reasons)).toBe("这里运行的是旧网页");
  expect(retold("http://a:1 cannot be reached", zh.reasons)).toBe("连不上 http://a:1");
  expect(retold("status 502", zh.reasons)).toBe("状态码 502");
});

test("what is not known stays as it is", () => {
  expect(retold("something else", zh.reasons)).toBe("something else");
  expect(retold("an old page runs here", {})).toBe("an old page runs here");
});
