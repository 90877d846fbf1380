/** The networks that are trained in the page. Axes: B images, 28 x 28 pixels, 1 channel. */

import * as tf from "@tensorflow/tfjs-layers";
import { CLASSES, SIDE } from "./mnist_files.js";

/**
 * The small convolutional network of the two browser tutorials: 5,994 parameters. Layers are named
 * as the Python package names them.
 *
 * @returns {tf.Sequential} float32 [B, 28, 28, 1], 0 to 1 -> probabilities [B, 10]
 */
function tfjs() {
  const conv = {
    kernelSize: 5,
    strides: 1,
    activation: "relu",
    kernelInitializer: "varianceScaling",
  };
  const pool = { poolSize: 2, strides: 2 };
  return tf.sequential({
    layers: [
      tf.layers.conv2d({ ...conv, filters: 8, name: "conv2d", inputShape: [SIDE, SIDE, 1] }),
      tf.layers.maxPooling2d({ ...pool, name: "max_pool" }), // [B, 12, 12, 8]
      tf.layers.conv2d({ ...conv, filters: 16, name: "conv2d_1" }), // [B, 8, 8, 16]
      tf.layers.maxPooling2d({ ...pool, name: "max_pool_1" }), // [B, 4, 4, 16]
      tf.layers.flatten({ name: "flatten" }), // [B, 256]
      tf.layers.dense({
        units: CLASSES,
        activation: "softmax",
        kernelInitializer: "varianceScaling",
        name: "dense",
      }),
    ],
  });
}

export const NETWORKS = { tfjs };
