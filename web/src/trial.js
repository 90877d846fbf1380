/** How fast a network is trained here, from a few steps with small batches of blank images. */

import * as tf from "@tensorflow/tfjs-core";
import { train as optimizers } from "@tensorflow/tfjs-core";
import { CLASSES, SIDE } from "./mnist_files.js";

const [FEW, MORE] = [8, 32]; // images of a batch

/**
 * @param {() => import("@tensorflow/tfjs-layers").LayersModel} build a network, which is thrown away
 * @returns {Promise<import("./pace.js").Pace>}
 */
export async function trial(build) {
  const network = build();
  const optimizer = optimizers.sgd(0.01);
  try {
    network.compile({ optimizer, loss: "categoricalCrossentropy", metrics: ["accuracy"] });
    const few = await timed(FEW, (xs, labels) => network.trainOnBatch(xs, labels));
    const more = await timed(MORE, (xs, labels) => network.trainOnBatch(xs, labels));
    const looked = await timed(MORE, async (xs, labels) => {
      const scores = network.evaluate(xs, labels);
      await Promise.all(scores.map((score) => score.data()));
      tf.dispose(scores);
    });
    const image = Math.max(0, more - few) / (MORE - FEW);
    return { step: Math.max(0, few - FEW * image), image, look: looked / MORE };
  } finally {
    network.dispose();
    optimizer.dispose();
  }
}

/** Seconds of the second of two runs; the first compiles programs. */
async function timed(size, run) {
  const xs = tf.zeros([size, SIDE, SIDE, 1]);
  const labels = tf.tidy(() => tf.oneHot(tf.zeros([size], "int32"), CLASSES));
  await run(xs, labels);
  const start = performance.now();
  await run(xs, labels);
  const seconds = (performance.now() - start) / 1000;
  tf.dispose([xs, labels]);
  return seconds;
}
