/** How long a training takes. */

/**
 * Seconds that a training takes.
 *
 * @typedef {object} Pace
 * @property {number} step for each step, whatever its batch
 * @property {number} image for each image of a step, beside that
 * @property {number} look for each image that is looked at for validation
 */

/**
 * @param {Pace} pace
 * @param {import("./recipes.js").Recipe} recipe
 * @returns {number} seconds that its training will take, the looks at validation images included
 */
export function secondsFor(pace, { steps, batchSize, validationSize, evalEverySteps }) {
  const looks = 1 + Math.ceil(steps / evalEverySteps); // before the first step, and after the last
  return steps * (pace.step + pace.image * batchSize) + looks * validationSize * pace.look;
}
