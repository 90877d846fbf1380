import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { layers, loadLayersModel, sequential } from "@tensorflow/tfjs-layers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { probeOf, strip, stripsOf } from "../../src/activations.js";
import { contributions } from "../../src/attribution.js";
import { strongestThird } from "../../src/deciding_view.js";
import { read } from "../../src/evaluate.js";
import { filterOf } from "../../src/filters.js";
import { likeliest } from "../../src/metrics.js";
import { openModel } from "../../src/models.js";
import { colourOf } from "../../src/signed_picture.js";

const WEB = path.join(import.meta.dirname, "..", "..");
const [H, W, C, F, UNITS] = [6, 7, 3, 5, 4]; // of the first convolution's output: 4 x 6 x 5

let model; // tiny, of unlike sizes
let kernels; // of its two convolutions and its dense layer

beforeAll(async () => {
  await tf.setBackend("cpu");
  model = sequential({
    layers: [
      layers.conv2d({ filters: F, kernelSize: [3, 2], name: "first", inputShape: [H, W, C] }),
      layers.activation({ activation: "relu", name: "relu" }),
      layers.maxPooling2d({ poolSize: 2, name: "pool" }), // 2 x 3 x 5
      layers.flatten({ name: "flatten" }),
      layers.dropout({ rate: 0.5, name: "dropout" }),
      layers.dense({ units: UNITS, activation: "softmax", name: "dense" }),
    ],
  });
  kernels = await Promise.all(
    ["first", "dense"].map((name) => model.getLayer(name).getWeights()[0].array()),
  );
});
afterAll(() => model.dispose());

function image(size = H * W * C) {
  return Float32Array.from({ length: size }, (_, k) => ((7 * k) % 11) / 10);
}

describe("activations", () => {
  test("a strip for each layer that changes something, as in the summary", () => {
    expect(probeOf(model).layers).toEqual([
      { name: "first", kind: "Conv2D", height: 4, width: 6, channels: 5, shown: 5 },
      { name: "relu", kind: "Activation", height: 4, width: 6, channels: 5, shown: 5 },
      { name: "pool", kind: "MaxPooling2D", height: 2, width: 3, channels: 5, shown: 5 },
      { name: "dense", kind: "Dense", height: 1, width: 1, channels: 4, shown: 4 },
    ]);
  });

  test("they are what the layers give, and no tensor is left", async () => {
    const probe = probeOf(model);
    const before = tf.memory().numTensors;
    const strips = await stripsOf(probe, image());
    expect(tf.memory().numTensors).toBe(before);
    const wanted = await read(model, image());
    const dense = strips[3];
    expect(dense.peak).toBeCloseTo(Math.max(...wanted), 6);
    dense.channels.forEach((channel, row) => {
      expect(dense.strengths[row]).toBeCloseTo(wanted[channel], 6);
      expect(dense.pictures[row]).toBe(Math.round((127 * wanted[channel]) / dense.peak));
    });
    expect(Math.min(...strips[0].pictures)).toBeLessThan(0);
    expect(Math.min(...strips[1].pictures)).toBe(0); // after ReLU
  });

  test("the strongest channels come first, whatever their sign", () => {
    const values = Float32Array.from([1, -4, 0, 3, 0, -2, 0, 1]); // 2 places, 4 channels
    const found = strip(values, { channels: 4, shown: 3 });
    expect([...found.channels]).toEqual([1, 3, 0]);
    expect([...found.strengths]).toEqual([3, 2, 0.5]);
    expect(found.peak).toBe(4);
    expect([...found.pictures]).toEqual([-127, -63, 95, 32, 32, 0]);
    expect([...strip(new Float32Array(4), { channels: 2, shown: 2 }).pictures]).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test("of wide layers and large pictures a part is shown", () => {
    const wide = sequential({
      layers: [
        layers.conv2d({ filters: 5, kernelSize: 1, inputShape: [150, 200, 1], name: "large" }),
        layers.globalAveragePooling2d({}),
        layers.dense({ units: 50, name: "many" }),
      ],
    });
    expect(probeOf(wide).layers.map(({ shown }) => shown)).toEqual([4, 5, 32]);
    wide.dispose();
  });
});

describe("filters", () => {
  test("of the first layer", async () => {
    const found = await filterOf(model, "first", 2);
    expect(found).toMatchObject({ layer: "first", source: "", height: 3, width: 2, total: C });
    const sums = found.slices.map(({ weights }) => weights.reduce((sum, w) => sum + w * w, 0));
    expect(sums[0]).toBeGreaterThan(sums[1]);
    for (const { channel, weights } of found.slices) {
      const wanted = kernels[0].flatMap((row) => row.map((cell) => cell[channel][2]));
      expect([...weights]).toEqual(wanted.map(Math.fround));
    }
  });

  test("of a layer without weights, that which made its channel", async () => {
    expect(await filterOf(model, "pool", 1)).toEqual(await filterOf(model, "first", 1));
  });

  test("of a dense layer, in the form that its input had", async () => {
    const found = await filterOf(model, "dense", 3);
    expect(found).toMatchObject({ layer: "dense", source: "pool", height: 2, width: 3, total: F });
    for (const { channel, weights } of found.slices) {
      const wanted = Array.from({ length: 6 }, (_, place) => kernels[1][F * place + channel][3]);
      expect([...weights]).toEqual(wanted.map(Math.fround));
    }
  });

  test("none where several layers meet", async () => {
    const both = await exported("accurate");
    expect(await filterOf(both, "average", 0)).toBe(null);
    expect(await filterOf(both, "column_1/relu_1", 5)).toMatchObject({
      layer: "column_1/conv2d_1",
      source: "column_1/relu",
    });
    both.dispose();
  });
});

describe("which pixels decide", () => {
  test("what the pixels add sums up to the change of the probability", async () => {
    const fast = await shipped();
    const blank = await read(fast, new Float32Array(784));
    const before = tf.memory().numTensors;
    for (let index = 0; index < 2; index++) {
      const digit = testImage(index);
      const probabilities = await read(fast, digit);
      const label = likeliest(probabilities);
      const values = await contributions(fast, digit, label);
      const sum = values.reduce((total, value) => total + value, 0);
      expect(Math.abs(sum - (probabilities[label] - blank[label]))).toBeLessThan(0.05);
      expect(values.every((value, place) => digit[place] > 0 || value === 0)).toBe(true);
    }
    expect(tf.memory().numTensors).toBe(before);
    fast.dispose();
  });

  test("a class that only one pixel speaks for", async () => {
    const plain = sequential({
      layers: [
        layers.flatten({ inputShape: [2, 3, 1] }),
        layers.dense({ units: 2, activation: "softmax", useBias: false }),
      ],
    });
    const kernel = tf.tensor2d([0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, -1], [6, 2]);
    plain.setWeights([kernel]);
    const values = await contributions(plain, Float32Array.of(1, 1, 1, 1, 1, 0), 1);
    expect([...values].map((value) => Math.sign(value))).toEqual([0, 0, 1, 0, 0, 0]);
    expect(values[2]).toBeCloseTo(1 / (1 + Math.exp(-3)) - 0.5, 3);
    kernel.dispose();
    plain.dispose();
  });

  test("it can be stopped", async () => {
    expect(await contributions(model, image(), 0, () => true)).toBe(null);
  });

  test("in which third", () => {
    const size = { height: 5, width: 2 };
    const at = (row, value) =>
      Float32Array.from({ length: 10 }, (_, k) => (k >> 1 === row ? value : 0));
    expect(strongestThird(at(0, 1), size)).toBe(0);
    expect(strongestThird(at(2, 1), size)).toBe(1);
    expect(strongestThird(at(4, 1), size)).toBe(2);
    expect(strongestThird(at(4, -1), size)).toBe(0);
  });
});

test("the higher a number, the brighter its colour", () => {
  const brightness = ([red, green, blue]) => 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const found = [-9, -1, -0.5, 0, 0.5, 1, 9].map((value) => brightness(colourOf(value)));
  expect(found.slice(1, 6)).toEqual([...found.slice(1, 6)].sort((a, b) => a - b));
  expect([found[0], found[6]]).toEqual([found[1], found[5]]);
});

async function opened(folder) {
  const files = ["model.json", "weights.bin"].map(
    (name) => new File([readFileSync(path.join(folder, name))], name),
  );
  return loadLayersModel(tf.io.fromMemory(await openModel(files)));
}

const shipped = () => opened(path.join(WEB, "public", "models", "fast"));
const exported = (recipe) => opened(path.join(WEB, "tests", "exported", recipe));

/** A test image of MNIST: [784], 0 to 1. */
function testImage(index) {
  const file = path.join(WEB, "..", "cnn_mnist", "data", "mnist", "t10k-images-idx3-ubyte.gz");
  const start = 16 + 784 * index;
  const pixels = gunzipSync(readFileSync(file)).subarray(start, start + 784);
  return Float32Array.from(pixels, (value) => value / 255);
}
