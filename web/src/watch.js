/** What there is to see of a training while it runs: how far it is, and what is left. */

import { count, duration, number } from "./format.js";

const ALMOST = 0.95; // of a step, as far as the bar goes before the step is done

/**
 * Where a training is.
 *
 * @typedef {object} Progress
 * @property {number} share of the whole training, 0 to 1
 * @property {string} text
 */

/** Reckons the progress of a training, from what is told of its steps and from the clock. */
export class Watch {
  #steps;
  #expected;
  #start;
  #first = 0; // seconds until the first step was done, which is slow: programs are compiled
  #last = 0; // seconds until the last step was done
  #told = { step: 0 };
  #validation = null;

  /**
   * @param {number} steps of the training
   * @param {number | null} expected seconds that it will take, if that is known
   * @param {number} [now] milliseconds
   */
  constructor(steps, expected, now = performance.now()) {
    this.#steps = steps;
    this.#expected = expected;
    this.#start = now;
  }

  /** @param {import("./train.js").Step} told @param {number} [now] milliseconds */
  add(told, now = performance.now()) {
    this.#told = told;
    if (told.validationLoss !== undefined) this.#validation = told;
    this.#last = this.seconds(now);
    if (told.step <= 1) this.#first = this.#last;
  }

  /** How long it has been running. @param {number} [now] milliseconds */
  seconds(now = performance.now()) {
    return (now - this.#start) / 1000;
  }

  /** @param {number} [now] milliseconds @returns {Progress} */
  progress(now = performance.now()) {
    const { step, loss, accuracy } = this.#told;
    const parts = [`step ${count(step)} of ${count(this.#steps)}`];
    if (loss !== undefined) parts.push(`loss ${number(loss)}, accuracy ${number(accuracy)}`);
    if (this.#validation) {
      const { validationLoss, validationAccuracy } = this.#validation;
      parts.push(
        `validation loss ${number(validationLoss)}, accuracy ${number(validationAccuracy)}`,
      );
    }
    const running = step < this.#steps;
    if (running) parts.push(`${Math.floor(this.seconds(now))} s so far`);
    const pace = this.#pace();
    if (running && pace !== null) {
      const left = Math.max(0, pace * (this.#steps - step) - this.#since(now));
      parts.push(`about ${duration(left)} left`);
    }
    const within = pace ? Math.min(ALMOST, this.#since(now) / pace) : 0;
    const share = Math.min(1, (step + (running ? within : 0)) / this.#steps);
    return { share, text: parts.join(" · ") };
  }

  /** Seconds that a step takes; null as long as that is not known. */
  #pace() {
    const { step } = this.#told;
    if (step > 1) return (this.#last - this.#first) / (step - 1);
    return this.#expected === null ? null : this.#expected / this.#steps;
  }

  /** Seconds since the last step was done. */
  #since(now) {
    return this.seconds(now) - (this.#told.step ? this.#last : 0);
  }
}
