import { expect, test } from "vitest";
import { COMMANDS, matching, toCommand } from "../src/commands";

test("a slash offers all commands, letters narrow them down", () => {
  expect(matching("/")).toEqual(COMMANDS);
  expect(matching("/SE")).toEqual(["settings"]);
  expect(matching("/nothing")).toEqual([]);
});

test.each(["", "text", "a /new", "/new words", "/usr/bin"])("%j offers none", (text) => {
  expect(matching(text)).toEqual([]);
});

test("what follows a command belongs to it", () => {
  expect(toCommand("/system Be brief.\nAlways.")).toEqual({ name: "system", rest: "Be brief.\nAlways." });
  expect(toCommand(" /New ")).toEqual({ name: "new", rest: "" });
});

test.each(["/usr/bin is a folder", "/unknown", "new", "/"])("%j is a message", (text) => {
  expect(toCommand(text)).toBeUndefined();
});
