/**
 * Which pixels decide: integrated gradients, from a blank image to the drawing.
 *
 * The contribution of a pixel is its value times the mean gradient of the class's probability along
 * the straight way from the blank image. All contributions add up to the difference of the two
 * probabilities, but for the error of the mean, which is taken over the midpoints of a few steps.
 * Source: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", 2017.
 */

import * as tf from "@tensorflow/tfjs-core";
import { turn } from "./train.js";

export const STEPS = 16;
const CHUNK = 2; // steps at once: short, as others wait for their turn

/**
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @param {Float32Array} image [H x W x C], 0 to 1
 * @param {number} label whose probability is explained
 * @param {() => boolean} [stopped] asked before every chunk
 * @returns {Promise<Float32Array | null>} [H x W x C]: what each value adds to the probability; null
 *   if it was stopped
 */
export async function contributions(model, image, label, stopped = () => false) {
  const [, ...shape] = model.inputs[0].shape;
  const gradient = tf.grad((images) =>
    tf.sum(tf.slice(model.apply(images, { training: false }), [0, label], [-1, 1])),
  );
  const sum = new Float32Array(image.length);
  for (let step = 0; step < STEPS; step += CHUNK) {
    if (stopped()) return null;
    const result = tf.tidy(() => {
      const shares = Array.from({ length: CHUNK }, (_, k) => (step + k + 0.5) / STEPS);
      const images = tf.mul(tf.tensor(shares, [CHUNK, 1, 1, 1]), tf.tensor(image, [1, ...shape]));
      return tf.sum(gradient(images), 0);
    });
    const values = await result.data();
    result.dispose();
    values.forEach((value, place) => {
      sum[place] += (value * image[place]) / STEPS;
    });
    await turn();
  }
  return sum;
}
