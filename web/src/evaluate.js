/** Reads images with a network and tallies many. Axes: B images, P pixels times channels, K classes. */

import * as tf from "@tensorflow/tfjs-core";
import { normalised } from "./data.js";
import { InputError } from "./errors.js";
import { Tally } from "./metrics.js";
import { PIXELS } from "./mnist_files.js";
import { described, MNIST, sameSize, sizeOf } from "./sizes.js";
import { turn } from "./train.js";

const CHUNK = 100; // images: short enough that a drawn digit need not wait for long
const SUM_TOLERANCE = 0.01; // how far from 1 the probabilities of an image may add up to

/**
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @param {Float32Array} images [B x P], 0 to 1; of digits 0 is the background and 1 is ink
 * @returns {Promise<Float32Array>} probabilities [B x K]
 * @throws {InputError} the images are of another size, or the network does not give probabilities
 */
export async function read(model, images) {
  const { height, width, channels, classes } = sizeOf(model);
  const count = images.length / (height * width * channels);
  if (!Number.isInteger(count)) {
    throw new InputError(
      `the images: expected ${height} x ${width} x ${channels} values for each, found ` +
        `${images.length} in all; give whole images`,
    );
  }
  const result = tf.tidy(() =>
    model.predict(tf.tensor4d(images, [count, height, width, channels])),
  );
  const probabilities = await result.data();
  result.dispose();
  for (let start = 0; start < probabilities.length; start += classes) {
    const ofImage = probabilities.subarray(start, start + classes);
    const sum = ofImage.reduce((total, value) => total + value, 0);
    // Written so that NaN, for which every comparison is false, is refused.
    if (!(Math.abs(sum - 1) <= SUM_TOLERANCE && ofImage.every((value) => value >= 0))) {
      throw new InputError(
        `the network: expected probabilities adding up to 1, found ${sum.toPrecision(3)} as their ` +
          "sum; choose one that ends with softmax",
      );
    }
  }
  return probabilities;
}

/**
 * Reads all images of a split of MNIST.
 *
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @param {import("./mnist_files.js").Split} split
 * @param {object} watch
 * @param {(images: number) => void} watch.onProgress told how many are done
 * @param {() => boolean} watch.stopped asked before every chunk
 * @returns {Promise<import("./metrics.js").Report | null>} null if it was stopped
 * @throws {InputError} the network reads no digits
 */
export async function evaluate(model, { images, labels }, { onProgress, stopped }) {
  if (!sameSize(sizeOf(model), MNIST)) {
    throw new InputError(
      `the test images are MNIST's: expected a network for ${described(MNIST)}, found one for ` +
        `${described(sizeOf(model))}; evaluate it with python -m cnn_mnist.main --mode=eval`,
    );
  }
  const tally = new Tally();
  for (let start = 0; start < labels.length; start += CHUNK) {
    if (stopped()) return null;
    const end = Math.min(start + CHUNK, labels.length);
    const pixels = images.subarray(start * PIXELS, end * PIXELS);
    const probabilities = await read(model, normalised(pixels));
    tally.add(pixels, labels.subarray(start, end), probabilities);
    onProgress(end);
    await turn();
  }
  return tally.report();
}
