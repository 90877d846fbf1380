import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { backendsFor } from "../../src/backend_names.js";
import { reason } from "../../src/errors.js";
import { duration, number, percent } from "../../src/format.js";
import { labelOf } from "../../src/model_label.js";
import { RECIPES, recipeWith } from "../../src/recipes.js";
import { Strokes } from "../../src/strokes.js";

test("the recipes can be changed", () => {
  expect(recipeWith("tfjs", {})).toEqual(RECIPES.tfjs);
  const changed = recipeWith("tfjs_sgd", { learningRate: " 1e-2", batchSize: "7 ", steps: "3" });
  expect(changed).toEqual({ ...RECIPES.tfjs_sgd, learningRate: 0.01, batchSize: 7, steps: 3 });
});

test.each([
  [{ learningRate: "0" }, 'learning rate: expected a number from 0.000001 to 10, found "0"'],
  [{ learningRate: "abc" }, 'learning rate: expected a number from 0.000001 to 10, found "abc"'],
  [{ learningRate: "" }, "found nothing"],
  [{ learningRate: "0,001" }, 'found "0,001"'],
  [{ batchSize: "2.5" }, 'batch size: expected a whole number from 1 to 2,048, found "2.5"'],
  [{ batchSize: "NaN" }, 'found "NaN"'],
  [{ batchSize: "   " }, "found nothing"],
  [{ steps: "10001" }, 'steps: expected a whole number from 1 to 10,000, found "10001"'],
  [{ steps: " many steps " }, 'found "many steps"'],
  [{ steps: "Infinity" }, 'found "Infinity"'],
  [{ steps: "9".repeat(80) }, `found "${"9".repeat(50)}"`],
])("%j is told, as it was typed", (typed, message) => {
  expect(() => recipeWith("tfjs", typed)).toThrow(message);
});

test("the backend of an address", () => {
  expect(backendsFor("")).toEqual({
    training: ["webgpu", "webgl", "cpu"],
    reading: ["wasm", "webgl", "cpu"],
  });
  expect(backendsFor("?backend=cpu")).toEqual({ training: ["cpu"], reading: ["cpu"] });
  expect(() => backendsFor("?backend=wasm")).toThrow("?backend=wasm: expected one of webgpu");
});

test("numbers", () => {
  expect([number(0.98765), number(null), percent(0.9994)]).toEqual(["0.9877", "-", "99.9 %"]);
  expect([duration(0.2), duration(99), duration(121)]).toEqual(["1 s", "99 s", "3 min"]);
});

test("a network is listed with what is known of it", () => {
  const known = { name: "trained-a", network: "small_cnn", step: 3_000, data: "MNIST" };
  const folder = "model_dir/fast";
  expect(labelOf({ ...known, recipe: "fast", folder, test_accuracy: 0.9906 })).toBe(
    "fast · MNIST · model_dir/fast · step 3,000 · 99.06 %",
  );
  expect(labelOf({ ...known, folder })).toBe("small_cnn · MNIST · model_dir/fast · step 3,000");
  expect(labelOf({ name: "from files", network: "tfjs", step: 1 })).toBe(
    "from files (tfjs, step 1)",
  );
  expect(labelOf({ name: "models/x/" })).toBe("models/x/");
});

test("a reason is one line", () => {
  expect(reason(new Error("a\n  b"))).toBe("a b");
  expect(reason("text")).toBe("text");
});

test("strokes are drawn within the sheet, and taken back one by one", () => {
  const strokes = new Strokes();
  strokes.extend({ x: 0.5, y: 0.5 }); // without a beginning
  expect(strokes.empty).toBe(true);
  strokes.begin({ x: 0.25, y: 0.5 });
  strokes.extend({ x: 1.5, y: -1 });
  strokes.begin({ x: 0, y: 1 });
  const calls = [];
  const log =
    (name) =>
    (...args) =>
      calls.push([name, ...args]);
  const context = {
    canvas: { width: 100 },
    beginPath: log("begin"),
    moveTo: log("move"),
    lineTo: log("line"),
    stroke: log("stroke"),
  };
  strokes.paint(context, "red");
  expect(calls.filter(([name]) => name === "line")).toEqual([
    ["line", 25, 50],
    ["line", 100, 0],
    ["line", 0, 100],
  ]);
  expect(context).toMatchObject({ strokeStyle: "red", lineWidth: 7.5, lineCap: "round" });
  strokes.undo();
  expect(strokes.empty).toBe(false);
  strokes.undo();
  expect(strokes.empty).toBe(true);
  strokes.undo();
});

test("the lock file names no host", () => {
  const lock = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8");
  expect(lock).not.toContain("://");
  expect(lock).toContain('"integrity"');
});
