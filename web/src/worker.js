/**
 * TensorFlow.js, away from the page so that drawing and scrolling never wait for it.
 *
 * The page runs this three times: one worker trains, one reads digits, and one looks inside the
 * network that reads, so that the reading need not wait for it.
 */

import * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel } from "@tensorflow/tfjs-layers";
import { probeOf, stripsOf } from "./activations.js";
import { contributions, STEPS } from "./attribution.js";
import { startBackend } from "./backends.js";
import { MnistData } from "./data.js";
import { InputError, reason } from "./errors.js";
import { evaluate, read } from "./evaluate.js";
import { filterOf } from "./filters.js";
import { likeliest } from "./metrics.js";
import { NETWORKS } from "./networks.js";
import { serve } from "./rpc.js";
import { sizeOf } from "./sizes.js";
import { softwareOf } from "./software.js";
import { summaryOf } from "./summary.js";
import { train } from "./train.js";
import { trial } from "./trial.js";
import { allowInputGradients } from "./wasm_gradients.js";

let data = null;
let model = null;
let probe = null; // of `model`
let stopping = false;

serve({
  start: ({ backends }) => startBackend(backends),

  /** The software that draws in place of a graphics processor, or null. */
  software: () => softwareOf(tf.getBackend()),

  /** How fast a network is trained here. */
  trial: ({ network }) => trial(NETWORKS[network]),

  setData: ({ train, test }) => {
    data = new MnistData(train, test);
    return { trainSize: data.trainSize, testSize: data.testSize };
  },

  /** Some of the test images: pixels [N x 784] from 0 to 1, and labels [N]. */
  examples: async ({ count }) => {
    const { xs, labels } = data.nextTestBatch(count);
    const classes = tf.tidy(() => tf.argMax(labels, 1));
    const result = { images: await xs.data(), labels: await classes.data() };
    tf.dispose([xs, labels, classes]);
    return result;
  },

  summary: ({ network }) => {
    const built = NETWORKS[network]();
    const summary = summaryOf(built);
    built.dispose();
    return summary;
  },

  /** Trains a network from nothing, and hands it over. */
  train: async ({ name, recipe }, report) => {
    stopping = false;
    const network = NETWORKS[recipe.network]();
    try {
      const step = await train(network, data, recipe, { onStep: report, stopped: () => stopping });
      network.setUserDefinedMetadata({ recipe: name, network: recipe.network, step });
      return { step, artifacts: await artifactsOf(network) };
    } finally {
      network.dispose();
    }
  },

  stop: () => {
    stopping = true;
  },

  /** Replaces the network that reads. */
  open: async ({ artifacts }) => {
    const opened = await opening(artifacts);
    model?.dispose();
    model = opened;
    return summaryOf(model);
  },

  read: ({ images }) => read(model, images),

  /** The layers of the network of which `strips` tells, in this order. */
  inside: () => {
    allowInputGradients();
    probe = probeOf(model);
    return probe.layers;
  },

  strips: ({ image }) => stripsOf(probe, image),

  filter: ({ layer, channel }) => filterOf(model, layer, channel),

  /** Which pixels decide for the class that is predicted; null if another network was opened. */
  decide: async ({ image }) => {
    const explained = model;
    const probabilities = await read(model, image);
    const blank = await read(model, new Float32Array(image.length));
    const label = likeliest(probabilities);
    const stopped = () => model !== explained;
    const values = await contributions(explained, image, label, stopped);
    return (
      values && {
        values,
        label,
        probability: probabilities[label],
        blank: blank[label],
        steps: STEPS,
      }
    );
  },

  evaluate: async ({ split }, report) => {
    const evaluated = model;
    return evaluate(evaluated, split, { onProgress: report, stopped: () => model !== evaluated });
  },

  /** How many tensors there are; before there is a backend, none. */
  memory: () => (tf.getBackend() ? tf.memory().numTensors : 0),
});

/** A model from files, checked with one blank image. */
async function opening(artifacts) {
  let opened;
  try {
    opened = await loadLayersModel(tf.io.fromMemory(artifacts));
    const { height, width, channels } = sizeOf(opened);
    await read(opened, new Float32Array(height * width * channels));
    return opened;
  } catch (error) {
    opened?.dispose();
    if (error instanceof InputError) throw error;
    throw new InputError(`the network: it cannot be opened (${reason(error)}); export it anew`);
  }
}

async function artifactsOf(network) {
  let artifacts;
  await network.save(
    tf.io.withSaveHandler((saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
  const { modelTopology, weightSpecs, weightData, generatedBy, userDefinedMetadata } = artifacts;
  return { modelTopology, weightSpecs, weightData, generatedBy, userDefinedMetadata };
}
