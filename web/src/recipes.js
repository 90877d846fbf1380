/** What is trained in the page: the two tutorials of TensorFlow.js, as `cnn_mnist/recipes.py`. */

import { InputError } from "./errors.js";

/**
 * @typedef {object} Recipe
 * @property {string} network name of a function in `networks.js`
 * @property {"adam" | "sgd"} optimizer
 * @property {number} learningRate
 * @property {number} batchSize images per training step
 * @property {number} steps
 * @property {number} trainSize training images that are used; 0 for all 55,000
 * @property {number} validationSize images of the validation split that are looked at
 * @property {number} evalEverySteps steps between two looks at them
 */

/** @type {Record<string, Recipe>} */
export const RECIPES = {
  // 10 epochs of 5,500 images: 55,000 / 512, rounded up.
  tfjs: {
    network: "tfjs",
    optimizer: "adam",
    learningRate: 0.001,
    batchSize: 512,
    steps: 108,
    trainSize: 5_500,
    validationSize: 1_000,
    evalEverySteps: 11,
  },
  // The first version of the same tutorial.
  tfjs_sgd: {
    network: "tfjs",
    optimizer: "sgd",
    learningRate: 0.15,
    batchSize: 64,
    steps: 100,
    trainSize: 0,
    validationSize: 1_000,
    evalEverySteps: 5,
  },
};

// Lowest and highest of what can be changed in the page.
export const RANGES = {
  learningRate: [1e-6, 10],
  batchSize: [1, 2048],
  steps: [1, 10_000],
};

/**
 * A recipe with the numbers that a person has typed.
 *
 * @param {string} name of a recipe
 * @param {Record<string, string>} typed by the fields of `RANGES`; what is missing stays
 * @returns {Recipe}
 * @throws {InputError} what was typed is no number in the field's range
 */
export function recipeWith(name, typed) {
  const changes = Object.entries(typed).map(([field, text]) => [field, numberOf(field, text)]);
  return { ...RECIPES[name], ...Object.fromEntries(changes) };
}

function numberOf(field, text) {
  const [lowest, highest] = RANGES[field];
  const whole = field !== "learningRate";
  const trimmed = text.trim();
  const value = trimmed ? Number(trimmed) : Number.NaN;
  // Written so that NaN, for which every comparison is false, is refused.
  if (value >= lowest && value <= highest && !(whole && !Number.isInteger(value))) return value;
  const label = field.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  throw new InputError(
    `${label}: expected a ${whole ? "whole number" : "number"} from ${lowest} to ` +
      `${highest.toLocaleString("en")}, found ${trimmed ? `"${trimmed.slice(0, 50)}"` : "nothing"}`,
  );
}
