import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Batches, MnistData } from "../../src/data.js";

const TRAIN = 5_013; // 13 beside the validation split
const TEST = 7;

/** A split whose images tell their own number: pixel 0 and 1 hold it, to the base 256. */
function split(size) {
  const images = new Uint8Array(size * 784);
  const labels = Uint8Array.from({ length: size }, (_, k) => k % 10);
  for (let k = 0; k < size; k++) images.set([k >> 8, k & 255], k * 784);
  return { images, labels };
}

/** The numbers of the images of a batch, checked against their labels. */
function numbers({ xs, labels }) {
  expect([xs.dtype, labels.dtype]).toEqual(["float32", "float32"]);
  expect(xs.shape).toEqual([labels.shape[0], 784]);
  expect(labels.shape[1]).toBe(10);
  const pixels = xs.arraySync();
  const found = pixels.map((row) => Math.round(255 * row[0]) * 256 + Math.round(255 * row[1]));
  const oneHot = found.map((k) => Array.from({ length: 10 }, (_, c) => Number(c === k % 10)));
  expect(labels.arraySync()).toEqual(oneHot);
  tf.dispose([xs, labels]);
  return found;
}

/** A source of chance that repeats itself. */
function chance(seed = 1) {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const data = new MnistData(split(TRAIN), split(TEST), chance());

let before;
beforeEach(() => {
  before = tf.memory().numTensors;
});
afterEach(() => {
  expect(tf.memory().numTensors).toBe(before);
});

test("sizes", () => {
  expect([data.trainSize, data.testSize]).toEqual([13, TEST]);
});

test("a round of training batches has each image once, none of validation, shuffled", () => {
  const rounds = [0, 1].map(() => [
    ...numbers(data.nextTrainBatch(6)),
    ...numbers(data.nextTrainBatch(7)),
  ]);
  const sorted = rounds.map((round) => round.toSorted((a, b) => a - b));
  expect(sorted[0]).toEqual(Array.from({ length: 13 }, (_, k) => 5_000 + k));
  expect(sorted[1]).toEqual(sorted[0]);
  expect(rounds[0]).not.toEqual(sorted[0]);
  expect(rounds[1]).not.toEqual(rounds[0]);
});

test("a batch may reach over the end of a round", () => {
  const found = numbers(data.nextTestBatch(17));
  expect(found).toHaveLength(17);
  expect(new Set(found.slice(0, TEST)).size).toBe(TEST);
  expect(new Set(found.slice(TEST, 2 * TEST)).size).toBe(TEST);
});

test("the validation batch is the first images, every time", () => {
  for (const _ of [0, 1]) expect(numbers(data.validationBatch(4))).toEqual([0, 1, 2, 3]);
});

test("a subset stays the same images", () => {
  const subset = data.trainSubset(3);
  const rounds = [0, 1, 2].map(() => numbers(subset.next(3)).toSorted());
  expect(new Set(rounds[0]).size).toBe(3);
  expect(rounds[1]).toEqual(rounds[0]);
  expect(rounds[2]).toEqual(rounds[0]);
  expect(data.trainSubset(0).size).toBe(13);
});

test("every order is equally likely", () => {
  const random = chance(7);
  const counts = new Map();
  for (let k = 0; k < 6_000; k++) {
    const small = new Batches(split(3), Uint32Array.of(0, 1, 2), random);
    tf.dispose(small.next(3)); // the first round keeps the order it is given
    const order = numbers(small.next(3)).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // Binomial, 6,000 x 1/6: the standard deviation is 29.
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(5 * 29);
});

test("too few images are told", () => {
  expect(() => new MnistData(split(5_000), split(TEST))).toThrow(
    "expected more than 5000, as that many are kept for validation, found 5000",
  );
});
