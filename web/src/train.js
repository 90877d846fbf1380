/** Trains a network step by step, and lets the rest of the page have its turn in between. */

import * as tf from "@tensorflow/tfjs-core";
import { train as optimizers } from "@tensorflow/tfjs-core";
import { SIDE } from "./mnist_files.js";

/**
 * What is told after every step.
 *
 * @typedef {object} Step
 * @property {number} step how many are done, from 0: before the first there is only a validation
 * @property {number} [loss] of the step's batch, in nats
 * @property {number} [accuracy] of the step's batch, 0 to 1
 * @property {number} [validationLoss] where the validation images were looked at
 * @property {number} [validationAccuracy]
 */

/**
 * Trains `model` until the recipe's steps are done or it is told to stop. Whatever tensors it makes
 * are gone at the end, the optimizer's included.
 *
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @param {import("./data.js").MnistData} data
 * @param {import("./recipes.js").Recipe} recipe
 * @param {object} watch
 * @param {(step: Step) => void} watch.onStep
 * @param {() => boolean} watch.stopped asked before every step
 * @returns {Promise<number>} the steps that were done
 */
export async function train(model, data, recipe, { onStep, stopped }) {
  const optimizer =
    recipe.optimizer === "adam"
      ? optimizers.adam(recipe.learningRate)
      : optimizers.sgd(recipe.learningRate);
  model.compile({ optimizer, loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  const validation = imagesOf(data.validationBatch(recipe.validationSize));
  const batches = data.trainSubset(recipe.trainSize);
  let step = 0;
  try {
    onStep({ step, ...(await validate(model, validation)) });
    while (step < recipe.steps && !stopped()) {
      const batch = imagesOf(batches.next(recipe.batchSize));
      const [loss, accuracy] = await model.trainOnBatch(batch.xs, batch.labels);
      tf.dispose(batch);
      step++;
      const last = step === recipe.steps;
      const due = last || step % recipe.evalEverySteps === 0;
      onStep({ step, loss, accuracy, ...(due && (await validate(model, validation))) });
      await turn();
    }
  } finally {
    tf.dispose(validation);
    optimizer.dispose();
  }
  return step;
}

/** Loss and accuracy over all images of a batch. */
async function validate(model, { xs, labels }) {
  const scores = model.evaluate(xs, labels, { batchSize: 500 });
  const [loss, accuracy] = await Promise.all(scores.map(async (score) => (await score.data())[0]));
  tf.dispose(scores);
  return { validationLoss: loss, validationAccuracy: accuracy };
}

/** A batch with its images as the network takes them: float32 [B, 28, 28, 1]. */
function imagesOf({ xs, labels }) {
  const images = tf.reshape(xs, [-1, SIDE, SIDE, 1]);
  xs.dispose();
  return { xs: images, labels };
}

/** Lets messages and pictures through. */
export function turn() {
  return new Promise((resolve) => setTimeout(resolve));
}
