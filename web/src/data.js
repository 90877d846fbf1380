/** MNIST for training: batches of tensors from bytes. Axes: B images of a batch, N of a split. */

import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "./errors.js";
import { CLASSES, PIXELS, VALIDATION_SIZE } from "./mnist_files.js";

/**
 * MNIST, as the TensorFlow.js tutorials use it: 55,000 images for training, 10,000 for testing, each
 * in shuffled order. The 5,000 training images beside them are for validation.
 *
 * Batches are `{xs, labels}`: xs float32 [B, 784], 0 (background) to 1 (ink); labels float32 [B, 10],
 * one-hot. The caller disposes of them.
 */
export class MnistData {
  #train;
  #test;
  #validation;
  #random;
  #split;

  /**
   * @param {import("./mnist_files.js").Split} train all 60,000 images of the training file
   * @param {import("./mnist_files.js").Split} test
   * @param {() => number} [random] from 0 up to and without 1
   * @throws {InputError} no training image is left beside those for validation
   */
  constructor(train, test, random = Math.random) {
    const count = train.labels.length;
    if (count <= VALIDATION_SIZE) {
      throw new InputError(
        `training images: expected more than ${VALIDATION_SIZE}, as that many are kept for ` +
          `validation, found ${count}; use the files of MNIST`,
      );
    }
    this.#random = random;
    this.#split = train;
    this.#validation = new Batches(train, range(0, VALIDATION_SIZE), null);
    this.#train = new Batches(train, shuffled(range(VALIDATION_SIZE, count), random), random);
    this.#test = new Batches(test, shuffled(range(0, test.labels.length), random), random);
  }

  get trainSize() {
    return this.#train.size;
  }

  get testSize() {
    return this.#test.size;
  }

  /** The next training images; after the last one they are shuffled anew. */
  nextTrainBatch(batchSize) {
    return this.#train.next(batchSize);
  }

  /** The next test images; after the last one they are shuffled anew. */
  nextTestBatch(batchSize) {
    return this.#test.next(batchSize);
  }

  /** The first images of the validation split, the same ones every time. */
  validationBatch(batchSize) {
    return this.#validation.first(batchSize);
  }

  /**
   * Batches of some training images alone, chosen at random.
   *
   * @param {number} size 0 for all of them
   * @returns {Batches}
   */
  trainSubset(size) {
    const chosen = shuffled(range(VALIDATION_SIZE, this.#split.labels.length), this.#random);
    return new Batches(this.#split, size ? chosen.slice(0, size) : chosen, this.#random);
  }
}

/** Endless batches of some images of a split, in shuffled order if there is a source of chance. */
export class Batches {
  #split;
  #order;
  #random;
  #place = 0;

  /**
   * @param {import("./mnist_files.js").Split} split
   * @param {Uint32Array} order indices of images, at least one; used in place
   * @param {(() => number) | null} random shuffles after each round; null keeps the order
   */
  constructor(split, order, random) {
    this.#split = split;
    this.#order = order;
    this.#random = random;
  }

  get size() {
    return this.#order.length;
  }

  /** The next `batchSize` images, as `{xs, labels}`; a batch may reach over the end of a round. */
  next(batchSize) {
    const chosen = new Uint32Array(batchSize);
    for (let k = 0; k < batchSize; k++) {
      if (this.#place === this.size) {
        this.#place = 0;
        if (this.#random) shuffled(this.#order, this.#random);
      }
      chosen[k] = this.#order[this.#place++];
    }
    return toTensors(this.#split, chosen);
  }

  /** The first `batchSize` images, or all if there are fewer. */
  first(batchSize) {
    return toTensors(this.#split, this.#order.slice(0, batchSize));
  }
}

/**
 * @param {Uint8Array} pixels [B x 784]
 * @returns {Float32Array} 0 to 1
 */
export function normalised(pixels) {
  return Float32Array.from(pixels, (value) => value / 255);
}

function toTensors({ images, labels }, indices) {
  const pixels = new Uint8Array(indices.length * PIXELS);
  const oneHot = new Float32Array(indices.length * CLASSES);
  indices.forEach((index, row) => {
    pixels.set(images.subarray(index * PIXELS, (index + 1) * PIXELS), row * PIXELS);
    oneHot[row * CLASSES + labels[index]] = 1;
  });
  return {
    xs: tf.tensor2d(normalised(pixels), [indices.length, PIXELS]),
    labels: tf.tensor2d(oneHot, [indices.length, CLASSES]),
  };
}

/** Shuffles in place, every order equally likely (Fisher and Yates). */
function shuffled(order, random) {
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

function range(start, end) {
  return Uint32Array.from({ length: end - start }, (_, k) => start + k);
}
