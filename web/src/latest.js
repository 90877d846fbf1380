/** Work of which only the newest request counts. */

/**
 * Does one request at a time; of those that come meanwhile, only the last is done.
 *
 * @template T
 */
export class Latest {
  #work;
  #newest;
  #waiting = false; // whether there is a request that has not begun
  #running = null;

  /** @param {(request: T) => Promise<void>} work which deals with its own errors */
  constructor(work) {
    this.#work = work;
  }

  /** @param {T} [request] @returns {Promise<void>} when no request is left */
  ask(request) {
    this.#newest = request;
    this.#waiting = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** When no request is left. */
  get idle() {
    return this.#running ?? Promise.resolve();
  }

  async #run() {
    try {
      while (this.#waiting) {
        this.#waiting = false;
        await this.#work(this.#newest);
      }
    } finally {
      this.#running = null;
    }
  }
}
