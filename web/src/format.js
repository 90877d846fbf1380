/** Numbers as the Python report writes them. */

/** A share, a probability or a loss; "-" where there is none. @param {number | null} value */
export function number(value) {
  return value === null || value === undefined ? "-" : value.toFixed(4);
}

/** A whole number, with commas. @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/** A probability, to a tenth of a percent. @param {number} value 0 to 1 */
export function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

/** A time to wait. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.ceil(seconds);
  return whole < 100 ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}

/** A number of any size, to three digits. @param {number} value */
export function short(value) {
  const size = Math.abs(value);
  return size >= 1000 || (size > 0 && size < 0.001) ? value.toExponential(1) : value.toPrecision(3);
}
