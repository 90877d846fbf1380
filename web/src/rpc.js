/**
 * Calls across a worker's border: a request has one answer, and any number of reports before it.
 */

import { InputError, reason } from "./errors.js";

/** A worker's functions, as seen from the page. */
export class Remote {
  #worker;
  #calls = new Map();
  #next = 0;

  /** @param {Worker} worker that runs `serve` */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failAll(new Error(event.message || "the worker could not be started"));
    };
  }

  /**
   * @param {string} name of the function
   * @param {unknown} [argument] anything that can be cloned
   * @param {object} [options]
   * @param {Transferable[]} [options.transfer] what is handed over instead of cloned
   * @param {(report: any) => void} [options.onReport]
   * @returns {Promise<any>}
   */
  call(name, argument, { transfer = [], onReport } = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onReport });
      this.#worker.postMessage({ id, name, argument }, transfer);
    });
  }

  #receive({ id, report, result, error }) {
    const call = this.#calls.get(id);
    if (report !== undefined) {
      call?.onReport?.(report);
      return;
    }
    this.#calls.delete(id);
    if (error) call?.reject(error.input ? new InputError(error.message) : new Error(error.message));
    else call?.resolve(result);
  }

  #failAll(error) {
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}

/**
 * Answers calls inside a worker.
 *
 * @param {Record<string, (argument: any, report: (report: any) => void) => any>} functions
 * @param {DedicatedWorkerGlobalScope} [scope]
 */
export function serve(functions, scope = globalThis) {
  scope.onmessage = async ({ data: { id, name, argument } }) => {
    try {
      const report = (value) => scope.postMessage({ id, report: value });
      scope.postMessage({ id, result: await functions[name](argument, report) });
    } catch (error) {
      const input = error instanceof InputError;
      scope.postMessage({ id, error: { input, message: reason(error) } });
    }
  };
}
