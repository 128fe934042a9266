import { expect, test } from "vitest";
import { idIn, placeOf } from "../src/place";

test("a place leads back to its conversation", () => {
  expect(idIn(placeOf("0123-abc_D"))).toBe("0123-abc_D");
  expect(idIn(placeOf(null))).toBeNull();
});

test.each(["", "#", "#/c/", "#/c/a/b", "#/c/%00", "#/d/a"])("%j is the place of none", (hash) => {
  expect(idIn(hash)).toBeNull();
});
