import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { NETWORKS } from "../../src/networks.js";
import { secondsFor } from "../../src/pace.js";
import { RECIPES } from "../../src/recipes.js";
import { softwareName } from "../../src/software.js";
import { trial } from "../../src/trial.js";
import { Watch } from "../../src/watch.js";

test.each([
  [
    "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), SwiftShader driver)",
    "SwiftShader",
  ],
  ["google swiftshader ", "SwiftShader"],
  ["llvmpipe (LLVM 15.0.7, 256 bits)", "llvmpipe"],
  ["ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11)", "Microsoft Basic Render"],
  ["Apple Software Renderer", "Software"],
  ["ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11)", null],
  ["Apple M2", null],
  ["Mali-G78", null],
])("%s is drawn by %s", (renderer, name) => {
  expect(softwareName(renderer)).toBe(name);
});

test("a training takes its steps and its looks at the validation images", () => {
  const pace = { step: 0.5, image: 0.01, look: 0.001 };
  const recipe = { steps: 10, batchSize: 100, validationSize: 1_000, evalEverySteps: 4 };
  expect(secondsFor(pace, recipe)).toBeCloseTo(10 * (0.5 + 1) + 4 * 1, 6); // after 0, 4, 8 and 10
  expect(secondsFor(pace, { ...recipe, steps: 8 })).toBeCloseTo(8 * 1.5 + 3, 6);
});

test("a trial measures, and leaves nothing behind", async () => {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const pace = await trial(NETWORKS.tfjs);
  expect(tf.memory().numTensors).toBe(before);
  expect(pace.step).toBeGreaterThanOrEqual(0);
  expect(pace.image).toBeGreaterThan(0);
  expect(pace.look).toBeGreaterThan(0);
  expect(secondsFor(pace, RECIPES.tfjs)).toBeGreaterThan(secondsFor(pace, RECIPES.tfjs_sgd));
});

describe("what there is to see of a training", () => {
  const seconds = (value) => 1000 * value;

  test("from the first moment, with the time that is expected", () => {
    const watch = new Watch(4, 40, 0);
    expect(watch.progress(0)).toEqual({
      share: 0,
      text: "step 0 of 4 · 0 s so far · about 40 s left",
    });
    expect(watch.progress(seconds(5))).toEqual({
      share: 0.125,
      text: "step 0 of 4 · 5 s so far · about 35 s left",
    });
    expect(watch.progress(seconds(60)).share).toBeCloseTo(0.95 / 4, 6); // no step is done
    expect(watch.progress(seconds(60)).text).toMatch(/about 0 s left$/);
  });

  test("without an expectation, the time that it has taken", () => {
    const watch = new Watch(4, null, 0);
    expect(watch.progress(seconds(2.9))).toEqual({ share: 0, text: "step 0 of 4 · 2 s so far" });
  });

  test("what is measured counts more than what was expected", () => {
    const watch = new Watch(10, 1000, 0);
    watch.add({ step: 0, validationLoss: 2.3, validationAccuracy: 0.1 }, seconds(1));
    watch.add({ step: 1, loss: 2, accuracy: 0.25 }, seconds(6));
    expect(watch.progress(seconds(6)).text).toBe(
      "step 1 of 10 · loss 2.0000, accuracy 0.2500 · validation loss 2.3000, accuracy 0.1000 · " +
        "6 s so far · about 15 min left",
    );
    watch.add({ step: 2, loss: 1, accuracy: 0.5 }, seconds(8));
    const { share, text } = watch.progress(seconds(9));
    expect(share).toBeCloseTo(0.25, 6); // half of the third step
    expect(text).toMatch(/ · 9 s so far · about 15 s left$/);
  });

  test("at the end nothing is left", () => {
    const watch = new Watch(2, 10, 0);
    watch.add({ step: 1, loss: 2, accuracy: 0.25 }, seconds(1));
    watch.add({ step: 2, loss: 1, accuracy: 0.5 }, seconds(2));
    expect(watch.progress(seconds(9))).toEqual({
      share: 1,
      text: "step 2 of 2 · loss 1.0000, accuracy 0.5000",
    });
  });
});
