/** The table of a network's layers. */

import { sizeOf } from "./sizes.js";

/**
 * @typedef {object} Summary
 * @property {string} [network] name of the network, where the file tells it
 * @property {number} [step] of its training
 * @property {{name: string, kind: string, shape: string, parameters: number}[]} layers
 * @property {number} parameters of all layers
 * @property {import("./sizes.js").Size} size of the images, and how many classes
 */

/**
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @returns {Summary}
 */
export function summaryOf(model) {
  const layers = model.layers.map((layer) => ({
    name: layer.name,
    kind: layer.getClassName(),
    shape: [layer.outputShape]
      .flat()
      .map((side) => side ?? "B")
      .join(" x "),
    parameters: layer.countParams(),
  }));
  const { network, step } = model.getUserDefinedMetadata() ?? {};
  return {
    network,
    step,
    layers,
    size: sizeOf(model),
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
  };
}
