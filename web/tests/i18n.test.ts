import { expect, test } from "vitest";
import { TEXTS } from "../src/i18n";

/** The paths of all texts. */
function paths(value: object, prefix = ""): string[] {
  return Object.entries(value).flatMap(([key, it]) =>
    typeof it === "object" && it !== null ? paths(it as object, `${prefix}${key}.`) : [`${prefix}${key}`],
  );
}

test("both languages have the same texts, down to each failure and notice", () => {
  expect(paths(TEXTS.zh)).toEqual(paths(TEXTS.en));
});
