/**
 * From the ink of a drawing to an image as MNIST has them: pure functions, the rule of
 * `cnn_mnist/inference/ink.py`.
 *
 * MNIST's digits were scaled, keeping their aspect ratio, into a box of 20x20 pixels, with grey
 * levels from anti-aliasing, and placed in 28x28 so that their centre of mass is at the centre. For a
 * network that takes images of another size, the box grows or shrinks with the shorter side.
 * Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
 */

import { SIDE } from "./mnist_files.js";
import { percentile, resize, roundHalfEven } from "./pixels.js";

const BOX = 20 / SIDE; // the digit's longer side, as a share of the image's shorter one
const STROKE = 0.3; // of a full stroke: what makes up the strokes; less is their soft edge
const FINE = 5; // of the box: the resolution at which thin strokes are thickened
// Of MNIST's test images 0.6 % are thinner than the first, and half thinner than the second.
const MIN_WIDTH = 1;
const USUAL_WIDTH = 2;

/**
 * @typedef {object} Ink
 * @property {number} width in pixels
 * @property {number} height in pixels
 * @property {Float32Array} values [height x width], 0 (paper) to 1 (a full stroke)
 */

/**
 * Places a drawing as MNIST's digits are.
 *
 * @param {Ink} drawing
 * @param {{height: number, width: number}} [size] of the image, in pixels
 * @returns {Uint8Array | null} [height x width], 0 (paper) to 255 (ink); null if there is no ink
 */
export function digitImage(drawing, size = { height: SIDE, width: SIDE }) {
  const found = cropped(drawing);
  if (!found) return null;
  const box = Math.max(1, Math.round(BOX * Math.min(size.height, size.width)));
  const ink = thickened(shrunk(found, FINE * box), box);
  return Uint8Array.from(centred(boxed(ink, box), size), (value) => roundHalfEven(255 * value));
}

/**
 * @param {Ink} ink
 * @returns {Ink | null} the smallest rectangle that holds all ink; null if there is none
 */
export function cropped({ width, height, values }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  values.forEach((value, place) => {
    if (value > 0) {
      const row = Math.floor(place / width);
      const column = place % width;
      top = Math.min(top, row);
      bottom = row;
      left = Math.min(left, column);
      right = Math.max(right, column);
    }
  });
  if (bottom < 0) return null;
  const kept = { width: right - left + 1, height: bottom - top + 1 };
  const part = new Float32Array(kept.width * kept.height);
  for (let row = 0; row < kept.height; row++) {
    const start = (top + row) * width + left;
    part.set(values.subarray(start, start + kept.width), row * kept.width);
  }
  return { ...kept, values: part };
}

/**
 * The ink with a longer side of at most `longest` pixels, at full contrast. Thin lines fade when an
 * image is made smaller; the contrast that they lose is given back.
 */
function shrunk(ink, longest) {
  if (Math.max(ink.width, ink.height) <= longest) return ink;
  const small = resized(ink, longest);
  const darkest = small.values.reduce((most, value) => Math.max(most, value), 0);
  const full = percentile(
    small.values.filter((value) => value > STROKE * darkest),
    90,
  );
  return { ...small, values: small.values.map((value) => Math.min(1, value / full)) };
}

/** The ink scaled to a longer side of `box` pixels, anti-aliased. */
function boxed(ink, box) {
  return Math.max(ink.width, ink.height) >= box ? shrunk(ink, box) : resized(ink, box);
}

/** The ink at another size, aspect ratio kept, with bicubic anti-aliasing. */
function resized(ink, longest) {
  const scale = longest / Math.max(ink.width, ink.height);
  const side = (old) => Math.max(1, roundHalfEven(old * scale));
  const small = resize(ink, side(ink.width), side(ink.height));
  return { ...small, values: small.values.map((value) => Math.min(1, Math.max(0, value))) };
}

/**
 * Strokes that would be thinner than nearly all of MNIST's, made as thick as those usually are,
 * before the digit is scaled down, as a thicker pen would do it.
 */
function thickened(ink, box) {
  const scale = box / Math.max(ink.width, ink.height);
  const width = scale * strokeWidth(ink);
  if (width >= MIN_WIDTH) return ink;
  return spread(ink, roundHalfEven((USUAL_WIDTH - width) / 2 / scale));
}

/**
 * The strokes' mean width in pixels: twice their area over their outline.
 *
 * @param {Ink} ink
 */
export function strokeWidth({ width, height, values }) {
  const inked = (row, column) =>
    row >= 0 && row < height && column >= 0 && column < width && values[row * width + column] > 0.5;
  let area = 0;
  let outline = 0;
  for (let row = 0; row <= height; row++) {
    for (let column = 0; column <= width; column++) {
      const here = inked(row, column);
      area += here;
      outline += here !== inked(row - 1, column);
      outline += here !== inked(row, column - 1);
    }
  }
  return (2 * area) / Math.max(outline, 1);
}

/** Each pixel becomes the highest within `radius` pixels; the field grows by that on every side. */
function spread({ width, height, values }, radius) {
  const grown = { width: width + 2 * radius, height: height + 2 * radius };
  const result = new Float32Array(grown.width * grown.height);
  values.forEach((value, place) => {
    const row = Math.floor(place / width);
    const column = place % width;
    for (let y = row; value > 0 && y <= row + 2 * radius; y++) {
      for (let x = column; x <= column + 2 * radius; x++) {
        const target = y * grown.width + x;
        if (value > result[target]) result[target] = value;
      }
    }
  });
  return { ...grown, values: result };
}

/**
 * The ink in a field of a size, moved by whole pixels until its centre of mass is in the middle, of
 * MNIST's images at (14, 14). Where it would reach over the field's edge, it is moved no further than
 * to that edge.
 */
function centred({ width, height, values }, size) {
  let mass = 0;
  let rows = 0;
  let columns = 0;
  values.forEach((value, place) => {
    mass += value;
    rows += value * Math.floor(place / width);
    columns += value * (place % width);
  });
  const within = (offset, own, whole) => Math.min(Math.max(roundHalfEven(offset), 0), whole - own);
  const top = within(size.height / 2 - rows / mass, height, size.height);
  const left = within(size.width / 2 - columns / mass, width, size.width);
  const field = new Float32Array(size.height * size.width);
  for (let row = 0; row < height; row++) {
    field.set(values.subarray(row * width, (row + 1) * width), (top + row) * size.width + left);
  }
  return field;
}
