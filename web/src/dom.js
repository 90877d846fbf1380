/** Small helpers of the views. */

import { SIDE } from "./mnist_files.js";

const MNIST_SIZE = { height: SIDE, width: SIDE };

/** The element with an id. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A new element.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] of the element, as scripts see them
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * A table with a heading for each column and each row.
 *
 * @param {string[]} heads
 * @param {(string | number)[][]} rows the first cell of each is its heading
 * @param {(string | number)[]} [foot] a last row, for a total
 */
export function table(heads, rows, foot) {
  const row = ([head, ...cells]) =>
    element("tr", {}, [
      element("th", { scope: "row", textContent: head }),
      ...cells.map((cell) => element("td", { textContent: cell })),
    ]);
  const columns = heads.map((head) => element("th", { scope: "col", textContent: head }));
  return element("table", {}, [
    element("thead", {}, [element("tr", {}, columns)]),
    element("tbody", {}, rows.map(row)),
    ...(foot ? [element("tfoot", {}, [row(foot)])] : []),
  ]);
}

/**
 * Shows an image of a digit, light on dark.
 *
 * @param {HTMLCanvasElement} canvas which gets the size of the image
 * @param {ArrayLike<number> | null} pixels [height x width], 0 (background) to 255 (ink); or null
 * @param {{height: number, width: number}} [size] of the image, in pixels
 */
export function showDigit(canvas, pixels, { height, width } = MNIST_SIZE) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    picture.data.fill(pixels ? pixels[place] : 0, 4 * place, 4 * place + 3);
    picture.data[4 * place + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

/**
 * A picture of a digit with words under it.
 *
 * @param {ArrayLike<number>} pixels [784], 0 to 255
 * @param {string[]} lines
 */
export function pictured(pixels, lines) {
  const canvas = element("canvas", { width: SIDE, height: SIDE, ariaHidden: "true" });
  showDigit(canvas, pixels);
  return element("li", {}, [canvas, ...lines.map((line) => element("div", { textContent: line }))]);
}

/** Shows a message, or takes it away if there is none. @param {string} id @param {string} [text] */
export function showError(id, text = "") {
  const place = byId(id);
  place.hidden = !text;
  place.textContent = text;
}
