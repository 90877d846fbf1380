/**
 * Pictures of numbers below and above 0: the darker than grey, the lower; the brighter, the higher.
 *
 * The two ends are those of cividis, whose brightness rises throughout, so that the pictures can be
 * read without telling colours apart. Source: J. Nuñez, C. Anderton, R. Renslow, "Optimizing
 * colormaps with consideration for color vision deficiency", 2018.
 */

const LOWEST = [0, 34, 78];
const ZERO = [124, 123, 120];
const HIGHEST = [254, 232, 56];
const LEVELS = 127; // on either side of 0

const SCALE = Array.from({ length: 2 * LEVELS + 1 }, (_, place) => {
  const share = (place - LEVELS) / LEVELS;
  const end = share < 0 ? LOWEST : HIGHEST;
  return ZERO.map((zero, k) => Math.round(zero + Math.abs(share) * (end[k] - zero)));
});

/** The colours from the lowest to the highest, for a legend: a CSS gradient. */
export const GRADIENT = `linear-gradient(90deg, ${[LOWEST, ZERO, HIGHEST].map(
  (colour) => `rgb(${colour.join(" ")})`,
)})`;

/**
 * @param {number} value -1 to 1; what is beyond counts as the end
 * @returns {number[]} red, green, blue, 0 to 255
 */
export function colourOf(value) {
  return SCALE[LEVELS + Math.round(LEVELS * Math.min(1, Math.max(-1, value)))];
}

/**
 * Pictures of one size side by side.
 *
 * @param {HTMLCanvasElement} canvas which gets the size of all
 * @param {ArrayLike<number> | null} values [pictures x height x width]; null for nothing but 0
 * @param {object} size
 * @param {number} size.height of a picture
 * @param {number} size.width
 * @param {number} size.peak the value of full colour
 * @param {number} [size.pictures]
 */
export function paintSigned(canvas, values, { height, width, peak, pictures = 1 }) {
  const row = pictures * width;
  if (canvas.width !== row || canvas.height !== height) {
    Object.assign(canvas, { width: row, height });
  }
  // Small pictures that change often: the way to the graphics processor takes longer.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(row, height);
  const scale = peak > 0 ? 1 / peak : 0;
  for (let y = 0, from = 0; y < pictures * height; y++) {
    let to = 4 * ((y % height) * row + Math.floor(y / height) * width);
    for (let x = 0; x < width; x++, from++, to += 4) {
      const [red, green, blue] = colourOf(values ? scale * values[from] : 0);
      image.data[to] = red;
      image.data[to + 1] = green;
      image.data[to + 2] = blue;
      image.data[to + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}
