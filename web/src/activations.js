/**
 * What each layer of a network makes of an image. Axes: B images, H height, W width, C channels (of
 * a dense layer its units, each of which is a channel of 1 x 1).
 */

import * as tf from "@tensorflow/tfjs-core";
import { model as newModel } from "@tensorflow/tfjs-layers";

// Their outputs are those of the layer before them, in the same or in another shape.
const PASSING = ["InputLayer", "Flatten", "Dropout", "Reshape"];
const MOST_CHANNELS = 32; // of a layer are shown
const MOST_VALUES = 40_000; // of a layer are shown, so that of large pictures there are few
const FEWEST_CHANNELS = 4;

/**
 * A layer whose activations are shown.
 *
 * @typedef {object} Shown
 * @property {string} name as in the network's summary
 * @property {string} kind
 * @property {number} height of a channel
 * @property {number} width
 * @property {number} channels of the layer
 * @property {number} shown how many of them are shown
 */

/**
 * The activations of a layer, its strongest channels first.
 *
 * @typedef {object} Strip
 * @property {Uint16Array} channels which ones, by the mean of their absolute values
 * @property {Float32Array} strengths those means
 * @property {number} peak the largest absolute value in the layer
 * @property {Int8Array} pictures [channels x H x W], of which 127 is the peak
 */

/**
 * A network that gives the outputs of all its layers at once. It holds the layers of `model`, and is
 * gone with it.
 *
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @returns {{layers: Shown[], outputs: import("@tensorflow/tfjs-layers").LayersModel}}
 */
export function probeOf(model) {
  const kept = model.layers.filter(
    (layer) =>
      !PASSING.includes(layer.getClassName()) &&
      layer.inboundNodes.length === 1 && // one that is used twice has no single output
      !Array.isArray(layer.output) &&
      [2, 4].includes(layer.output.shape.length),
  );
  const layers = kept.map((layer) => {
    const [, ...shape] = layer.output.shape;
    const [height, width, channels] = shape.length === 3 ? shape : [1, 1, shape[0]];
    const most = Math.max(FEWEST_CHANNELS, Math.floor(MOST_VALUES / (height * width)));
    const shown = Math.min(channels, MOST_CHANNELS, most);
    return { name: layer.name, kind: layer.getClassName(), height, width, channels, shown };
  });
  const outputs = newModel({ inputs: model.inputs, outputs: kept.map(({ output }) => output) });
  return { layers, outputs };
}

/**
 * @param {ReturnType<typeof probeOf>} probe
 * @param {Float32Array} image [H x W x C], 0 to 1
 * @returns {Promise<Strip[]>} for each of the probe's layers
 */
export async function stripsOf({ layers, outputs }, image) {
  const [, ...shape] = outputs.inputs[0].shape;
  const results = tf.tidy(() => [outputs.predict(tf.tensor(image, [1, ...shape]))].flat());
  const values = await Promise.all(results.map((result) => result.data()));
  tf.dispose(results);
  return layers.map((layer, place) => strip(values[place], layer));
}

/**
 * @param {ArrayLike<number>} values [H x W x C] of a layer
 * @param {Pick<Shown, "channels" | "shown">} layer
 * @returns {Strip}
 */
export function strip(values, { channels, shown }) {
  const places = values.length / channels;
  const means = new Float32Array(channels);
  let peak = 0;
  values.forEach((value, place) => {
    const size = Math.abs(value);
    means[place % channels] += size / places;
    if (size > peak) peak = size;
  });
  const order = Uint16Array.from(means.keys()).sort((a, b) => means[b] - means[a] || a - b);
  const chosen = order.slice(0, shown);
  const pictures = new Int8Array(shown * places);
  const scale = peak > 0 ? 127 / peak : 0;
  chosen.forEach((channel, row) => {
    for (let place = 0; place < places; place++) {
      const value = scale * values[place * channels + channel];
      pictures[row * places + place] = Math.round(value);
    }
  });
  const strengths = Float32Array.from(chosen, (channel) => means[channel]);
  return { channels: chosen, strengths, peak, pictures };
}
