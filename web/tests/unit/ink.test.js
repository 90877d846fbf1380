import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { digitImage, strokeWidth } from "../../src/ink.js";
import { percentile, resize, roundHalfEven } from "../../src/pixels.js";

const cases = JSON.parse(readFileSync(new URL("../fixtures/ink.json", import.meta.url)));

function unpacked(text) {
  return new Uint8Array(gunzipSync(Buffer.from(text, "base64")));
}

test.each(cases)("$name comes out as Python has it", ({ width, height, ink, expected }) => {
  const values = Float32Array.from(unpacked(ink), (value) => value / 255);
  const digit = digitImage({ width, height, values });
  const wanted = unpacked(expected);
  const off = digit.map((value, place) => Math.abs(value - wanted[place]));
  expect(Math.max(...off)).toBeLessThanOrEqual(1); // of 255: Pillow adds up in another order
});

test("a blank sheet is no digit", () => {
  expect(digitImage({ width: 30, height: 20, values: new Float32Array(600) })).toBeNull();
});

test("one pixel fills the box", () => {
  const values = new Float32Array(600);
  values[123] = 1;
  const digit = digitImage({ width: 30, height: 20, values });
  expect(digit.filter((value) => value === 255)).toHaveLength(400);
});

test("the width of strokes", () => {
  const bar = { width: 40, height: 5, values: new Float32Array(200).fill(1) };
  expect(strokeWidth(bar)).toBeCloseTo((2 * 200) / 90);
});

test("rounding as Python does", () => {
  expect([-1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven)).toEqual(
    [-2, 0, 0, 2, 2, 2, 3].map((v) => v || expect.closeTo(0)),
  );
});

test("percentiles as NumPy's", () => {
  expect(percentile([4, 1, 3, 2], 90)).toBeCloseTo(3.7);
  expect(percentile([5], 90)).toBe(5);
});

test("a picture of one grey stays so at any size", () => {
  const grey = { width: 7, height: 5, values: new Float32Array(35).fill(0.25) };
  for (const [width, height] of [
    [3, 2],
    [7, 5],
    [20, 11],
  ]) {
    const { values } = resize(grey, width, height);
    expect(values).toHaveLength(width * height);
    for (const value of values) expect(value).toBeCloseTo(0.25, 6);
  }
});
