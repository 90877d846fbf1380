/**
 * The weights with which a channel is made. Axes: H height, W width, C channels that go in, F
 * channels that come out.
 */

const MOST_SLICES = 32; // are shown
// Of these layers channel k is made of channel k of the layer before alone.
const SAME_CHANNELS = [
  "Activation",
  "AveragePooling2D",
  "BatchNormalization",
  "Dropout",
  "MaxPooling2D",
  "ReLU",
];

/**
 * The filter of a channel, in slices: one for each channel that goes in.
 *
 * @typedef {object} Filter
 * @property {string} layer the layer whose weights they are: the one that was asked for, or, if that
 *   has none, the one that made the same channel before it
 * @property {string} source the layer that made what goes in; "" for the image
 * @property {number} height of a slice
 * @property {number} width
 * @property {{channel: number, weights: Float32Array}[]} slices the strongest, strongest first (by
 *   the sum of their squares); `channel` counts the channels that go in
 * @property {number} total how many slices there are
 */

/**
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @param {string} name of a layer
 * @param {number} channel of its output
 * @returns {Promise<Filter | null>} null where no single layer's weights make this channel
 */
export async function filterOf(model, name, channel) {
  const layer = weighing(model.getLayer(name));
  if (!layer) return null;
  const kernel = layer.getWeights()[0]; // [H, W, C, F] of a convolution, [C, F] of a dense layer
  const values = await kernel.data();
  const { source, shape } = input(layer);
  const dense = kernel.shape.length === 2;
  // What a dense layer takes may have been pictures before they were flattened.
  const [height, width, channels] = dense ? shape : kernel.shape;
  const filters = kernel.shape.at(-1);
  const slices = Array.from({ length: channels }, (_, from) => {
    const weights = new Float32Array(height * width);
    for (let place = 0; place < weights.length; place++) {
      weights[place] = values[(place * channels + from) * filters + channel];
    }
    return { channel: from, weights, strength: weights.reduce((sum, w) => sum + w * w, 0) };
  });
  slices.sort((a, b) => b.strength - a.strength || a.channel - b.channel);
  const strongest = slices.slice(0, MOST_SLICES);
  return {
    layer: layer.name,
    source,
    height,
    width,
    slices: strongest.map((slice) => ({ channel: slice.channel, weights: slice.weights })),
    total: channels,
  };
}

/** The layer with the weights that make a layer's channels; null if there is no such one. */
function weighing(layer) {
  let found = layer;
  while (found && SAME_CHANNELS.includes(found.getClassName())) found = before(found);
  return ["Conv2D", "Dense"].includes(found?.getClassName()) ? found : null;
}

/** What made a layer's input, and its shape [H, W, C] before it was flattened. */
function input(layer) {
  let found = before(layer);
  while (["Dropout", "Flatten"].includes(found?.getClassName())) found = before(found);
  const own = !found || found.getClassName() === "InputLayer";
  const [, ...shape] = found ? [found.outputShape].flat() : layer.batchInputShape;
  return { source: own ? "" : found.name, shape: shape.length === 3 ? shape : [1, 1, ...shape] };
}

/** The layer before one; null if there is none or several. */
function before(layer) {
  const layers = layer.inboundNodes[0]?.inboundLayers ?? [];
  return layers.length === 1 ? layers[0] : null;
}
