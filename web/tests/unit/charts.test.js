import { expect, test } from "vitest";
import { filled } from "../../src/charts.js";

test("gaps between known values are filled, and nothing else", () => {
  expect(filled([undefined, 4, undefined, undefined, 1, 7, undefined])).toEqual([
    null,
    4,
    3,
    2,
    1,
    7,
    null,
  ]);
  expect(filled([undefined])).toEqual([null]);
});
