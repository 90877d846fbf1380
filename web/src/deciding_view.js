/** Which strokes decide: a map over the drawing as the network sees it. */

import { byId } from "./dom.js";
import { percent } from "./format.js";

const CELL = 10; // pixels of the canvas for a pixel of the drawing
const INK = 0.4; // how bright the drawing is under the map
const FAINT = 0.02; // of the largest contribution: less is not drawn
const FOR = "#fee838";
const AGAINST = "#9ecaff";
const PLACES = ["top", "middle", "bottom"];

/**
 * @typedef {object} Deciding
 * @property {Float32Array} image [H x W], 0 to 1: the drawing
 * @property {Float32Array} values [H x W]: what each pixel adds to the probability
 * @property {string} name of the predicted class
 * @property {number} probability of it
 * @property {number} blank its probability for a blank image
 * @property {number} steps of the integration
 */

/** @param {Deciding | null} deciding @param {{height: number, width: number}} size */
export function showDeciding(deciding, size) {
  const canvas = byId("deciding");
  paint(canvas, deciding, size);
  if (!deciding) {
    canvas.ariaLabel = "Which strokes decide: nothing is drawn";
    byId("deciding-told").textContent = "Draw, and the ink that decides is marked.";
    return;
  }
  const { values, name, probability, blank, steps } = deciding;
  const where = PLACES[strongestThird(values, size)];
  canvas.ariaLabel = `Which strokes decide: most of what speaks for ${name} is at the ${where}`;
  byId("deciding-told").textContent =
    `Filled squares mark ink that speaks for ${name}, hollow ones ink against it; together they ` +
    `take its probability from ${percent(blank)} on a blank sheet to ${percent(probability)} ` +
    `(integrated gradients, ${steps} steps).`;
}

/**
 * In which third of the height most of what speaks for the class is.
 *
 * @param {Float32Array} values [H x W]
 * @param {{height: number, width: number}} size
 * @returns {number} 0 (top), 1 or 2
 */
export function strongestThird(values, { height, width }) {
  const sums = [0, 0, 0];
  values.forEach((value, place) => {
    sums[Math.floor((3 * Math.floor(place / width)) / height)] += Math.max(0, value);
  });
  return sums.indexOf(Math.max(...sums));
}

function paint(canvas, deciding, { height, width }) {
  Object.assign(canvas, { height: CELL * height, width: CELL * width }); // which clears it
  if (!deciding) return;
  const context = canvas.getContext("2d");
  const { image, values } = deciding;
  const peak = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  context.lineWidth = CELL / 6;
  context.strokeStyle = AGAINST;
  image.forEach((ink, place) => {
    const x = CELL * (place % width);
    const y = CELL * Math.floor(place / width);
    const grey = Math.round(255 * INK * ink);
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(x, y, CELL, CELL);
    const share = peak > 0 ? values[place] / peak : 0;
    if (Math.abs(share) < FAINT) return;
    const side = CELL * Math.sqrt(Math.abs(share)); // the area tells how much
    const start = (CELL - side) / 2;
    context.fillStyle = FOR;
    if (share > 0) context.fillRect(x + start, y + start, side, side);
    else context.strokeRect(x + start, y + start, side, side);
  });
}
