import { expect, test } from "vitest";
import { classScores, likeliest, Tally } from "../../src/metrics.js";

/** Probabilities that are sure of a class, by as much. */
function sure(k, probability) {
  const row = new Float32Array(10).fill((1 - probability) / 9);
  row[k] = probability;
  return row;
}

function tallied(rows, chunks) {
  const tally = new Tally(2);
  for (const [start, end] of chunks) {
    const some = rows.slice(start, end);
    const images = new Uint8Array(some.length * 784).map(
      (_, place) => start + Math.floor(place / 784),
    );
    const labels = Uint8Array.from(some, ([label]) => label);
    const probabilities = Float32Array.from(some.flatMap(([, ...told]) => [...sure(...told)]));
    tally.add(images, labels, probabilities);
  }
  return tally.report();
}

// label, predicted, its probability
const ROWS = [
  [3, 3, 0.9],
  [3, 5, 0.6],
  [5, 5, 0.8],
  [7, 1, 0.7],
  [7, 1, 0.95],
  [7, 7, 0.5],
];

test("counts, losses and mistakes do not depend on the chunks", () => {
  const whole = tallied(ROWS, [[0, 6]]);
  expect(
    tallied(ROWS, [
      [0, 1],
      [1, 4],
      [4, 6],
    ]),
  ).toEqual(whole);
  expect(whole).toMatchObject({ images: 6, right: 3, accuracy: 0.5 });
  expect(whole.confusion[7]).toEqual([0, 2, 0, 0, 0, 0, 0, 1, 0, 0]);
  expect(whole.confusion[3][5]).toBe(1);
  const losses = [0.9, 0.4 / 9, 0.8, 0.3 / 9, 0.05 / 9, 0.5].map((p) => -Math.log(p));
  expect(whole.loss).toBeCloseTo(losses.reduce((a, b) => a + b) / 6, 5);
});

test("the most confident mistakes, with their images", () => {
  const { mistakes } = tallied(ROWS, [
    [0, 3],
    [3, 6],
  ]);
  expect(mistakes.map(({ index, label, predicted }) => [index, label, predicted])).toEqual([
    [4, 7, 1],
    [3, 7, 1],
  ]);
  expect(mistakes[0].probability).toBeCloseTo(0.95);
  expect([...mistakes[0].image]).toEqual(new Array(784).fill(4));
});

test("a probability of 0 has a loss that is finite", () => {
  const tally = new Tally();
  tally.add(new Uint8Array(784), Uint8Array.of(2), sure(4, 1));
  expect(tally.report().loss).toBeCloseTo(87.336, 2);
});

test("the scores of the classes, the worst first", () => {
  const scores = classScores(tallied(ROWS, [[0, 6]]).confusion);
  expect(scores.slice(0, 4)).toEqual([
    { index: 7, images: 3, right: 1, accuracy: 1 / 3, precision: 1, f1: 0.5 },
    { index: 3, images: 2, right: 1, accuracy: 0.5, precision: 1, f1: 2 / 3 },
    { index: 5, images: 1, right: 1, accuracy: 1, precision: 0.5, f1: 2 / 3 },
    { index: 0, images: 0, right: 0, accuracy: null, precision: null, f1: null },
  ]);
  expect(scores[4]).toMatchObject({ index: 1, accuracy: null, precision: 0, f1: 0 });
});

test("of equal probabilities the lowest class is taken", () => {
  expect(likeliest([0.2, 0.4, 0.4])).toBe(1);
});
