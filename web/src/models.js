/**
 * Networks as files: the layers format of TensorFlow.js, a `model.json` and its weights.
 *
 * `python -m cnn_mnist.main --mode=export --format=tfjs` writes the same.
 */

import { InputError } from "./errors.js";
import { fetchBytes } from "./mnist_files.js";

const BYTES = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 };
const WEIGHTS = "weights.bin";

/**
 * A network outside of TensorFlow.js: what `tf.io.fromMemory` takes.
 *
 * @typedef {object} Artifacts
 * @property {object} modelTopology
 * @property {{name: string, shape: number[], dtype: string}[]} weightSpecs
 * @property {ArrayBuffer} weightData
 * @property {{network?: string, step?: number}} [userDefinedMetadata]
 */

/**
 * A network that lies beside the page.
 *
 * @typedef {object} Listed
 * @property {string} name of its folder
 * @property {string} [network]
 * @property {number} [step] of its training
 * @property {string} [recipe] with which it was trained
 * @property {string} [data] on which
 * @property {string} [folder] where that is
 * @property {number} [test_accuracy] 0 to 1
 */

/**
 * The networks that lie beside the page.
 *
 * @param {string} folder address, ending in "/"
 * @returns {Promise<Listed[]>}
 * @throws {InputError} the list is missing or is none
 */
export async function listModels(folder) {
  const name = "models/index.json";
  const list = parsed(await fetchBytes(`${folder}index.json`, name), name);
  if (!Array.isArray(list) || !list.every((entry) => isFileName(entry?.name))) {
    throw new InputError(`${name}: expected a list of models with names, found something else`);
  }
  return list;
}

/**
 * @param {string} folder address of a folder with a `model.json`, ending in "/"
 * @param {string} name of the model, for the messages
 * @returns {Promise<Artifacts>}
 * @throws {InputError} a file is missing or damaged
 */
export function fetchModel(folder, name) {
  return readModel(
    (file) => fetchBytes(folder + file, `${name}/${file}`),
    "model.json",
    `${name}/model.json`,
  );
}

/**
 * @param {File[]} files a `.json` file and the weights that it names
 * @returns {Promise<Artifacts>}
 * @throws {InputError} a file is missing or damaged, or there are several models
 */
export function openModel(files) {
  const json = files.filter(({ name }) => name.toLowerCase().endsWith(".json"));
  if (json.length !== 1) {
    throw new InputError(
      `model files: expected one .json file and its weights, found ${json.length} .json files ` +
        `among ${files.length}; choose model.json and its weights file together`,
    );
  }
  const open = async (wanted) => {
    const file = files.find(({ name }) => name === wanted);
    if (!file) {
      throw new InputError(
        `${json[0].name}: expected its weights file ${wanted} to be chosen too, found ` +
          `${files.map(({ name }) => name).join(", ")}; choose both together`,
      );
    }
    return new Uint8Array(await file.arrayBuffer());
  };
  return readModel(open, json[0].name, json[0].name);
}

/**
 * The two files of a network.
 *
 * @param {Artifacts} artifacts
 * @returns {{name: string, content: Blob}[]}
 */
export function modelFiles({ weightData, weightSpecs, ...rest }) {
  const json = {
    format: "layers-model",
    generatedBy: rest.generatedBy,
    convertedBy: null,
    modelTopology: rest.modelTopology,
    weightsManifest: [{ paths: [WEIGHTS], weights: weightSpecs }],
    userDefinedMetadata: rest.userDefinedMetadata,
  };
  return [
    { name: "model.json", content: new Blob([JSON.stringify(json)], { type: "application/json" }) },
    { name: WEIGHTS, content: new Blob([weightData], { type: "application/octet-stream" }) },
  ];
}

/**
 * @param {(name: string) => Promise<Uint8Array>} open reads a file beside `model.json`
 * @param {string} jsonName name of the `model.json`
 * @param {string} shown the same, for the messages
 */
async function readModel(open, jsonName, shown) {
  const fail = (expected, found) => {
    throw new InputError(`${shown}: expected ${expected}, found ${found}; export the model anew`);
  };
  const json = parsed(await open(jsonName), shown);
  if (!json?.modelTopology) fail("a layers model with a modelTopology", "none");
  if (json.format && json.format !== "layers-model") {
    fail("the format layers-model", String(json.format).slice(0, 50));
  }
  if (!Array.isArray(json.weightsManifest)) fail("a weightsManifest", "none");
  const specs = json.weightsManifest.flatMap((group) => group?.weights ?? []);
  const paths = json.weightsManifest.flatMap((group) => group?.paths ?? []);
  const names = paths.map((path) => String(path).replace(/^\.\//, ""));
  const strange = names.find((name) => !isFileName(name));
  if (strange !== undefined) fail("weights in a file beside it", strange.slice(0, 100));
  const parts = await Promise.all(names.map(open));
  const weightData = await new Blob(parts).arrayBuffer();
  const bytes = specs.reduce((sum, spec) => sum + bytesOf(spec, fail), 0);
  if (weightData.byteLength !== bytes) {
    fail(
      `${bytes.toLocaleString("en")} bytes of weights in ${names.join(", ")}`,
      weightData.byteLength.toLocaleString("en"),
    );
  }
  return {
    modelTopology: json.modelTopology,
    weightSpecs: specs,
    weightData,
    generatedBy: json.generatedBy,
    userDefinedMetadata: json.userDefinedMetadata ?? {},
  };
}

function bytesOf({ name, shape, dtype, quantization } = {}, fail) {
  const size = BYTES[quantization?.dtype ?? dtype];
  if (
    !size ||
    !Array.isArray(shape) ||
    !shape.every((side) => Number.isInteger(side) && side > 0)
  ) {
    fail("weights with a dtype and a shape", `${name}: ${dtype} [${shape}]`.slice(0, 100));
  }
  return shape.reduce((product, side) => product * side, size);
}

function parsed(content, name) {
  try {
    return JSON.parse(new TextDecoder().decode(content));
  } catch {
    throw new InputError(`${name}: expected JSON, found something else; export the model anew`);
  }
}

function isFileName(name) {
  return typeof name === "string" && /^[\w][\w.-]*$/.test(name);
}
