/** The four files of MNIST, fetched and checked: bytes in, arrays out. */

import { InputError, reason } from "./errors.js";
import { readIdx } from "./idx.js";

export const SIDE = 28; // pixels
export const PIXELS = SIDE * SIDE;
export const CLASSES = 10;
// As in the classic tutorial: the first 5,000 training images are kept for validation.
export const VALIDATION_SIZE = 5_000;

export const FILES = {
  trainImages: "train-images-idx3-ubyte.gz",
  trainLabels: "train-labels-idx1-ubyte.gz",
  testImages: "t10k-images-idx3-ubyte.gz",
  testLabels: "t10k-labels-idx1-ubyte.gz",
};

/**
 * @typedef {object} Split
 * @property {Uint8Array} images [N x 784], 0 (background) to 255 (ink)
 * @property {Uint8Array} labels [N], 0 to 9
 */

/**
 * Fetches the four files and checks them against each other.
 *
 * @param {string} folder their address, ending in "/"
 * @returns {Promise<{train: Split, test: Split}>} all images of the training and the test files
 * @throws {InputError} a file is missing, damaged or of another kind
 */
export async function loadMnist(folder) {
  const [train, test] = await Promise.all([
    loadSplit(folder, FILES.trainImages, FILES.trainLabels),
    loadSplit(folder, FILES.testImages, FILES.testLabels),
  ]);
  return { train, test };
}

async function loadSplit(folder, imagesName, labelsName) {
  const [images, labels] = await Promise.all([
    fetchBytes(folder + imagesName, imagesName).then((b) => readIdx(b, imagesName, [SIDE, SIDE])),
    fetchBytes(folder + labelsName, labelsName).then((b) => readIdx(b, labelsName, [])),
  ]);
  return checkedSplit({ images, labels }, imagesName, labelsName);
}

/**
 * @param {Split} split
 * @param {string} imagesName
 * @param {string} labelsName
 * @returns {Split} the same
 * @throws {InputError} unlike numbers of images and labels, or a label that is no digit
 */
export function checkedSplit(split, imagesName, labelsName) {
  const count = split.images.length / PIXELS;
  if (count !== split.labels.length) {
    throw new InputError(
      `${labelsName}: expected ${count} labels, one for each image in ${imagesName}, ` +
        `found ${split.labels.length}; put the matching file there`,
    );
  }
  const wrong = split.labels.findIndex((label) => label >= CLASSES);
  if (wrong >= 0) {
    throw new InputError(
      `${labelsName}: expected labels from 0 to ${CLASSES - 1}, found ${split.labels[wrong]} ` +
        `(label number ${wrong}); replace it by a good copy`,
    );
  }
  return split;
}

/**
 * @param {string} url
 * @param {string} name of the file, for the messages
 * @returns {Promise<Uint8Array>}
 * @throws {InputError} the server does not have it, or does not answer
 */
export async function fetchBytes(url, name) {
  let response;
  let content;
  try {
    response = await fetch(url);
    content = await response.arrayBuffer();
  } catch (error) {
    throw new InputError(`${name}: expected an answer of the server, found: ${reason(error)}`);
  }
  if (!response.ok) {
    throw new InputError(`${name}: expected a file, found ${response.status} from the server`);
  }
  return new Uint8Array(content);
}
