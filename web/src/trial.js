/** How fast a network is trained here, from a few steps with small batches of blank images. */

import * as tf from "@tensorflow/tfjs-core";
import { train as optimizers } from "@tensorflow/tfjs-core";
import { CLASSES, SIDE } from "./mnist_files.js";

const [FEW, MORE] = [8, 64]; // images of a batch
const RUNS = 3; // of which the fastest counts: other programs only slow it down

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
    const step = Math.min(few, more) - FEW * image;
    return { step: Math.max(0, step), image, look: looked / MORE };
  } finally {
    network.dispose();
    optimizer.dispose();
  }
}

/** Seconds of the fastest of some runs, after one that compiles programs. */
async function timed(size, run) {
  const xs = tf.zeros([size, SIDE, SIDE, 1]);
  const labels = tf.tidy(() => tf.oneHot(tf.zeros([size], "int32"), CLASSES));
  await run(xs, labels);
  let fastest = Number.POSITIVE_INFINITY;
  for (let k = 0; k < RUNS; k++) {
    const start = performance.now();
    await run(xs, labels);
    fastest = Math.min(fastest, (performance.now() - start) / 1000);
  }
  tf.dispose([xs, labels]);
  return fastest;
}
