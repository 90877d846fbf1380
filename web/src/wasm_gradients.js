/** What WebAssembly lacks for the gradient of a convolution by its input. */

import { getKernel, registerKernel, zeros } from "@tensorflow/tfjs-core";

const KERNEL = "Conv2DBackpropFilter";
const BACKEND = "wasm";

/**
 * TensorFlow.js computes the gradient by the weights along with that by the input, whether or not
 * anybody asks for it, and the WebAssembly backend cannot. Here it gets zeros, which nobody reads.
 * Nothing must be trained in the same worker.
 */
export function allowInputGradients() {
  if (getKernel(KERNEL, BACKEND)) return;
  registerKernel({
    kernelName: KERNEL,
    backendName: BACKEND,
    kernelFunc: ({ attrs }) => zeros(attrs.filterShape),
  });
}
