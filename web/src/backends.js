/** Starts TensorFlow.js on the graphics or the main processor. */

import wasm from "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm?url";
import * as tf from "@tensorflow/tfjs-core";
import { InputError, reason } from "./errors.js";

const LOADERS = {
  webgpu: async () => {
    // TensorFlow.js would try a machine without an adapter too, and write errors to the console.
    if (!(await navigator.gpu?.requestAdapter())) throw new Error("no adapter");
    await import("@tensorflow/tfjs-backend-webgpu");
  },
  webgl: () => import("@tensorflow/tfjs-backend-webgl"),
  cpu: () => import("@tensorflow/tfjs-backend-cpu"),
  wasm: async () => {
    const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
    setWasmPaths({
      "tfjs-backend-wasm.wasm": wasm,
      "tfjs-backend-wasm-simd.wasm": simd,
      "tfjs-backend-wasm-threaded-simd.wasm": simd, // asked for, but never run: no shared memory
    });
  },
};

/**
 * Starts the first backend that works here.
 *
 * @param {string[]} names
 * @returns {Promise<string>} its name
 * @throws {InputError} none does
 */
export async function startBackend(names) {
  const found = [];
  for (const name of names) {
    try {
      await LOADERS[name]();
      if (await tf.setBackend(name)) {
        await tf.ready();
        await tryOut();
        return name;
      }
      found.push(`${name}: not available`);
    } catch (error) {
      found.push(`${name}: ${reason(error)}`);
    }
  }
  throw new InputError(`no backend works in this browser (${found.join("; ")})`);
}

/** Some contexts fail only when they are used. */
async function tryOut() {
  const sum = tf.tidy(() => tf.add(1, 2));
  const [found] = await sum.data();
  sum.dispose();
  if (found !== 3) throw new Error(`1 + 2 makes ${found}`);
}
