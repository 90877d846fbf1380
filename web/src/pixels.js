/** Resampling and statistics of grey pixels, so that they agree with Pillow's and NumPy's. */

/**
 * Resizes with bicubic interpolation, anti-aliased: where the picture gets smaller, the kernel gets
 * wider by as much. As Pillow's `Resampling.BICUBIC`; values may overshoot.
 *
 * @param {import("./ink.js").Ink} picture
 * @param {number} width of the result, in pixels
 * @param {number} height
 * @returns {import("./ink.js").Ink}
 */
export function resize(picture, width, height) {
  const columns = weights(picture.width, width);
  const rows = weights(picture.height, height);
  const wide = new Float32Array(picture.height * width);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, shares } = columns[x];
      let sum = 0;
      shares.forEach((share, k) => {
        sum += share * picture.values[y * picture.width + first + k];
      });
      wide[y * width + x] = sum;
    }
  }
  const values = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const { first, shares } = rows[y];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      shares.forEach((share, k) => {
        sum += share * wide[(first + k) * width + x];
      });
      values[y * width + x] = sum;
    }
  }
  return { width, height, values };
}

/** For each pixel of the result: the first pixel that counts, and how much it and the next count. */
function weights(from, to) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = 2 * stretch; // the kernel ends at 2
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(from, Math.floor(centre + reach + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      bicubic((first + k - centre + 0.5) / stretch),
    );
    const sum = raw.reduce((total, share) => total + share, 0);
    return { first, shares: raw.map((share) => share / sum) };
  });
}

/** R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981: a = -1/2. */
function bicubic(position) {
  const x = Math.abs(position);
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/**
 * The value below which `percent` of the values lie, with linear interpolation.
 *
 * @param {ArrayLike<number>} values at least one
 * @param {number} percent 0 to 100
 */
export function percentile(values, percent) {
  const sorted = Float64Array.from(values).sort();
  const place = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Rounds halves to the even neighbour, as Python and NumPy do. */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
