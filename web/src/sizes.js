/** What a network takes and gives: the size of the images, their channels, the number of classes. */

import { InputError } from "./errors.js";
import { CLASSES, SIDE } from "./mnist_files.js";

/**
 * @typedef {object} Size
 * @property {number} height of the images, in pixels
 * @property {number} width of the images, in pixels
 * @property {number} channels 1 (grey) or 3 (colour)
 * @property {number} classes
 */

/** @type {Size} */
export const MNIST = { height: SIDE, width: SIDE, channels: 1, classes: CLASSES };
export const MOST_CLASSES = 1_000;

/**
 * @param {import("@tensorflow/tfjs-layers").LayersModel} model
 * @returns {Size}
 * @throws {InputError} it does not take images and give a number for each class
 */
export function sizeOf({ inputs, outputs }) {
  const [input, output] = [inputs, outputs].map((ends) => ends.map(({ shape }) => shape));
  const [batch, height, width, channels] = input[0];
  const [, classes] = output[0];
  const takes = input.length === 1 && input[0].length === 4 && batch === null;
  const known = [height, width].every((side) => Number.isInteger(side) && side > 0);
  const gives = output.length === 1 && output[0].length === 2 && output[0][0] === null;
  const counts = Number.isInteger(classes) && classes >= 2 && classes <= MOST_CLASSES;
  if (takes && known && [1, 3].includes(channels) && gives && counts) {
    return { height, width, channels, classes };
  }
  const shown = (shapes) => shapes.map(listed).join(" and ");
  throw new InputError(
    "the network: expected [null, height, width, 1 or 3] to go in and " +
      `[null, 2 to ${MOST_CLASSES.toLocaleString("en")}] to come out, found ${shown(input)} and ` +
      `${shown(output)}; choose one that classifies images`,
  );
}

/**
 * @param {Size} one
 * @param {Size} other
 * @returns {boolean} whether they are the same
 */
export function sameSize(one, other) {
  return Object.keys(MNIST).every((name) => one[name] === other[name]);
}

/** @param {Size} size @returns {string} for people: `28 x 28 pixels, grey, 10 classes` */
export function described({ height, width, channels, classes }) {
  return `${height} x ${width} pixels, ${channels === 1 ? "grey" : "colour"}, ${classes} classes`;
}

function listed(shape) {
  return `[${shape.map((side) => side ?? "null").join(", ")}]`;
}
