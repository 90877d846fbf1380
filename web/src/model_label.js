/** How a network is listed. */

import { count } from "./format.js";

/**
 * The recipe, the data, the folder, the step and the test accuracy, as far as they are known; of a
 * network that nothing is known of but what is in its file, that.
 *
 * @param {import("./models.js").Listed} listed
 * @returns {string}
 */
export function labelOf({ name, network, step, recipe, data, folder, test_accuracy: accuracy }) {
  const steps = Number.isInteger(step) && `step ${count(step)}`;
  if (data) {
    const share = typeof accuracy === "number" && `${(100 * accuracy).toFixed(2)} %`;
    return [recipe ?? network ?? name, data, folder, steps, share].filter(Boolean).join(" · ");
  }
  const told = [network, steps].filter(Boolean);
  return told.length ? `${name} (${told.join(", ")})` : name;
}
