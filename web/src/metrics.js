/**
 * What a classifier got right and wrong, tallied chunk by chunk, as `cnn_mnist/evaluation/metrics.py` does.
 *
 * In a confusion matrix the first axis is the true class, the second the predicted one.
 */

import { CLASSES, PIXELS } from "./mnist_files.js";

// Of the true class; the smallest float32 of full precision. No image's loss is above 87.34 nats.
const LOWEST_PROBABILITY = 2 ** -126;

/**
 * An image that was taken for another class.
 *
 * @typedef {object} Mistake
 * @property {number} index its place in the split, from 0
 * @property {number} label what it is
 * @property {number} predicted the class with the highest probability
 * @property {number} probability the predicted class's
 * @property {Uint8Array} image [784]
 */

/**
 * @typedef {object} ClassScore
 * @property {number} index the class
 * @property {number} images how many are of this class
 * @property {number} right how many of them were recognised
 * @property {number | null} accuracy right / images; null without images
 * @property {number | null} precision right / predicted; null if nothing was taken for it
 * @property {number | null} f1 the harmonic mean of both; null where that is 0 / 0
 */

/**
 * @typedef {object} Report
 * @property {number} images
 * @property {number} right
 * @property {number} accuracy 0 to 1
 * @property {number} loss the mean cross entropy, in nats
 * @property {number[][]} confusion [10][10]
 * @property {ClassScore[]} classes the worst first
 * @property {Mistake[]} mistakes the most confident first
 */

/** Counts predictions. */
export class Tally {
  #worst;
  #images = 0;
  #loss = 0;
  #confusion = Array.from({ length: CLASSES }, () => new Array(CLASSES).fill(0));
  #mistakes = [];

  /** @param {number} [worst] how many of the most confident mistakes are kept */
  constructor(worst = 30) {
    this.#worst = worst;
  }

  /**
   * Counts the next images of the split. Of equal probabilities the lowest class is taken.
   *
   * @param {Uint8Array} images [B x 784]
   * @param {Uint8Array} labels [B]
   * @param {Float32Array} probabilities [B x 10]
   */
  add(images, labels, probabilities) {
    labels.forEach((label, row) => {
      const ofRow = probabilities.subarray(row * CLASSES, (row + 1) * CLASSES);
      const predicted = likeliest(ofRow);
      this.#confusion[label][predicted]++;
      this.#loss -= Math.log(Math.min(1, Math.max(ofRow[label], LOWEST_PROBABILITY)));
      if (predicted !== label) {
        this.#mistakes.push({
          index: this.#images + row,
          label,
          predicted,
          probability: Math.min(1, ofRow[predicted]),
          image: images.slice(row * PIXELS, (row + 1) * PIXELS),
        });
      }
    });
    this.#images += labels.length;
    this.#mistakes.sort((a, b) => b.probability - a.probability || a.index - b.index);
    this.#mistakes.length = Math.min(this.#mistakes.length, this.#worst);
  }

  /** @returns {Report} what was found so far, after at least one image */
  report() {
    const right = this.#confusion.reduce((sum, row, k) => sum + row[k], 0);
    return {
      images: this.#images,
      right,
      accuracy: right / this.#images,
      loss: this.#loss / this.#images,
      confusion: this.#confusion,
      classes: classScores(this.#confusion),
      mistakes: this.#mistakes,
    };
  }
}

/**
 * @param {number[][]} confusion
 * @returns {ClassScore[]} from the lowest accuracy to the highest; those without images at the end
 */
export function classScores(confusion) {
  const scores = confusion.map((row, index) => {
    const images = row.reduce((sum, count) => sum + count, 0);
    const predicted = confusion.reduce((sum, other) => sum + other[index], 0);
    const right = row[index];
    return {
      index,
      images,
      right,
      accuracy: share(right, images),
      precision: share(right, predicted),
      f1: share(2 * right, images + predicted),
    };
  });
  return scores.sort((a, b) => (a.accuracy ?? 2) - (b.accuracy ?? 2) || a.index - b.index);
}

/**
 * @param {ArrayLike<number>} probabilities
 * @returns {number} the class with the highest one, the lowest class of equal ones
 */
export function likeliest(probabilities) {
  let best = 0;
  for (let k = 1; k < probabilities.length; k++) {
    if (probabilities[k] > probabilities[best]) best = k;
  }
  return best;
}

function share(part, whole) {
  return whole ? part / whole : null;
}
