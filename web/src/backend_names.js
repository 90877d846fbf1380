/** Which part of the machine computes: graphics or main processor. */

import { InputError } from "./errors.js";

// WebAssembly has no gradient of a convolution, so that it reads but does not train.
export const TRAINING = ["webgpu", "webgl", "cpu"];
// A single digit is read sooner without the way to the graphics processor and back, and float32 is
// float32 everywhere.
export const READING = ["wasm", "webgl", "cpu"];

/**
 * Which backends to try for an address like `?backend=cpu`.
 *
 * @param {string} search of the page's address
 * @returns {{training: string[], reading: string[]}}
 * @throws {InputError} a backend that does not exist or cannot train
 */
export function backendsFor(search) {
  const wanted = new URLSearchParams(search).get("backend");
  if (wanted === null) return { training: TRAINING, reading: READING };
  if (!TRAINING.includes(wanted)) {
    const found = wanted.slice(0, 50);
    throw new InputError(`?backend=${found}: expected one of ${TRAINING.join(", ")}`);
  }
  return { training: [wanted], reading: [wanted] };
}
