import { expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { modelFiles, openModel } from "../../src/models.js";

const SPECS = [
  { name: "dense/kernel", shape: [3, 2], dtype: "float32" },
  { name: "dense/bias", shape: [2], dtype: "float32" },
];
const ARTIFACTS = {
  modelTopology: { class_name: "Sequential", config: { name: "tiny", layers: [] } },
  weightSpecs: SPECS,
  weightData: Float32Array.from({ length: 8 }, (_, k) => k).buffer,
  generatedBy: "a test",
  userDefinedMetadata: { network: "tiny", step: 3 },
};

function json(changes = {}) {
  return {
    format: "layers-model",
    modelTopology: ARTIFACTS.modelTopology,
    weightsManifest: [{ paths: ["./weights.bin"], weights: SPECS }],
    ...changes,
  };
}

function files(model, bytes = 32, name = "weights.bin") {
  const text = typeof model === "string" ? model : JSON.stringify(model);
  return [new File([new Uint8Array(bytes)], name), new File([text], "model.json")];
}

test("what is saved is opened again", async () => {
  const saved = modelFiles(ARTIFACTS).map(({ name, content }) => new File([content], name));
  expect(saved.map(({ name }) => name)).toEqual(["model.json", "weights.bin"]);
  expect(await openModel(saved)).toEqual(ARTIFACTS);
});

test("several weights files are put together", async () => {
  const model = json({ weightsManifest: [{ paths: ["a.bin", "b.bin"], weights: SPECS }] });
  const parts = [5, 27].map(
    (size, k) => new File([new Uint8Array(size).fill(k)], `${"ab"[k]}.bin`),
  );
  const { weightData } = await openModel([...parts, files(model)[1]]);
  expect([...new Uint8Array(weightData)]).toEqual([
    ...new Array(5).fill(0),
    ...new Array(27).fill(1),
  ]);
});

test("quantized weights are counted as they are stored", async () => {
  const weights = [{ ...SPECS[0], quantization: { dtype: "uint8", scale: 1, min: 0 } }, SPECS[1]];
  const model = json({ weightsManifest: [{ paths: ["weights.bin"], weights }] });
  expect((await openModel(files(model, 6 + 8))).weightData.byteLength).toBe(14);
});

test.each([
  ["no JSON", files("{"), "model.json: expected JSON"],
  [
    "another JSON",
    files("[1]"),
    "model.json: expected a layers model with a modelTopology, found none",
  ],
  ["a graph model", files(json({ format: "graph-model" })), "found graph-model"],
  ["no manifest", files(json({ weightsManifest: 3 })), "expected a weightsManifest"],
  ["too few weights", files(json(), 31), "expected 32 bytes of weights in weights.bin, found 31"],
  ["too many weights", files(json(), 33), "expected 32 bytes of weights in weights.bin, found 33"],
  [
    "a missing file",
    files(json(), 32, "other.bin"),
    "expected its weights file weights.bin to be chosen too, found other.bin, model.json",
  ],
  ["two models", [...files(json()), new File(["{}"], "b.json")], "found 2 .json files among 3"],
  ["weights alone", files(json()).slice(0, 1), "found 0 .json files among 1"],
  [
    "weights elsewhere",
    files(json({ weightsManifest: [{ paths: ["../weights.bin"], weights: [] }] })),
    "expected weights in a file beside it, found ../weights.bin",
  ],
  [
    "a foreign address",
    files(json({ weightsManifest: [{ paths: ["https://example.org/w.bin"], weights: [] }] })),
    "expected weights in a file beside it",
  ],
  [
    "a strange shape",
    files(
      json({
        weightsManifest: [{ paths: ["weights.bin"], weights: [{ ...SPECS[0], shape: [-1] }] }],
      }),
    ),
    "found dense/kernel: float32 [-1]",
  ],
  [
    "a strange dtype",
    files(
      json({
        weightsManifest: [{ paths: ["weights.bin"], weights: [{ ...SPECS[0], dtype: "string" }] }],
      }),
    ),
    "expected weights with a dtype and a shape",
  ],
])("tells of %s", async (_, chosen, message) => {
  const opening = (async () => openModel(chosen))();
  await expect(opening).rejects.toThrow(InputError);
  await expect(opening).rejects.toThrow(message);
});
