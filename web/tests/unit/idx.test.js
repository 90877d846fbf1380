import { expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { readIdx } from "../../src/idx.js";
import { checkedSplit } from "../../src/mnist_files.js";
import { gzipped, idxFile } from "../idx_files.js";

const images = idxFile([3, 28, 28]);

test.each([
  ["plain", images],
  ["gzip", gzipped(images)],
])("reads a %s file", async (_, content) => {
  const values = await readIdx(content, "images.gz", [28, 28]);
  expect(values).toHaveLength(3 * 784);
  expect(values[0]).toBe(0);
  expect(values[783]).toBe(783 % 256);
  expect(values.at(-1)).toBe((3 * 784 - 1) % 256);
});

test("reads labels", async () => {
  expect([
    ...(await readIdx(
      idxFile([4], (k) => 9 - k),
      "labels",
      [],
    )),
  ]).toEqual([9, 8, 7, 6]);
});

test.each([
  [
    "an empty file",
    [],
    "byte offset 0: expected magic number 0x00000803 (uint8, 3-D), found the end",
  ],
  [
    "text",
    [0x3c, 0x21, 0x64, 0x6f],
    "byte offset 0: expected magic number 0x00000803 (uint8, 3-D), found 0x3c21646f",
  ],
  ["labels", idxFile([5]), "found 0x00000801"],
  ["a cut header", images.slice(0, 9), "byte offset 9: expected a header of 16 bytes"],
  ["no images", idxFile([0, 28, 28]), "byte offset 4: expected a size of at least 1"],
  [
    "other images",
    idxFile([2, 28, 27]),
    "byte offset 12: expected images of 28 x 28 pixels, found a side of 27",
  ],
  [
    "a cut file",
    images.slice(0, -1),
    "byte offset 2367: expected 2368 bytes (16 of header, 3 x 28 x 28 of values)",
  ],
  [
    "a longer file",
    [...images, 7],
    "byte offset 2368: expected the end of the content, found more bytes",
  ],
])("tells of %s", async (_, content, message) => {
  const reading = readIdx(new Uint8Array(content), "train.gz", [28, 28]);
  await expect(reading).rejects.toThrow(InputError);
  await expect(reading).rejects.toThrow(`train.gz: ${message.startsWith("byte") ? message : ""}`);
  await expect(reading).rejects.toThrow(message);
});

test("tells of compressed content that is cut off or damaged", async () => {
  const content = gzipped(images);
  const damaged = content.map((byte, place) => (place === content.length - 6 ? byte ^ 1 : byte));
  for (const broken of [content.slice(0, -9), content.slice(0, 20), damaged]) {
    const reading = readIdx(broken, "train.gz", [28, 28]);
    await expect(reading).rejects.toThrow("train.gz: expected gzip content");
  }
});

test("tells where in the uncompressed content", async () => {
  const reading = readIdx(gzipped(images.slice(0, 100)), "train.gz", [28, 28]);
  await expect(reading).rejects.toThrow("byte offset 100 of the uncompressed content");
});

test("images and labels belong together", () => {
  const split = { images: new Uint8Array(3 * 784), labels: new Uint8Array([0, 9, 4]) };
  expect(checkedSplit(split, "images", "labels")).toBe(split);
  expect(() => checkedSplit({ ...split, labels: new Uint8Array(2) }, "images", "labels")).toThrow(
    "labels: expected 3 labels, one for each image in images, found 2",
  );
  expect(() =>
    checkedSplit({ ...split, labels: new Uint8Array([0, 10, 4]) }, "images", "labels"),
  ).toThrow("labels: expected labels from 0 to 9, found 10 (label number 1)");
});
