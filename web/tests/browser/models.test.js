import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { downloadNetwork, draw, expectNone, launch, openPage, waitForText } from "./chromium.js";

const ROOT = path.join(import.meta.dirname, "..", "..", "..");
const EXPORTED = path.join(ROOT, "web", "tests", "exported");
const SHIPPED = path.join(ROOT, "web", "public", "models", "fast");
const IMAGES = 100;

/** The first test images: [100 x 784], 0 to 1. */
function testImages() {
  const file = path.join(ROOT, "cnn_mnist", "data", "mnist", "t10k-images-idx3-ubyte.gz");
  const pixels = gunzipSync(readFileSync(file)).subarray(16, 16 + IMAGES * 784);
  return Array.from(pixels, (value) => value / 255);
}

/** The files of a model, for a file picker. */
function picked(json, weights) {
  return [
    { name: "model.json", mimeType: "application/json", buffer: Buffer.from(json) },
    { name: "weights.bin", mimeType: "application/octet-stream", buffer: Buffer.from(weights) },
  ];
}

let browser;
let page;
let errors;

beforeAll(async () => {
  browser = await launch();
  ({ page, errors } = await openPage(browser, inject("address")));
});
afterAll(() => browser?.close());

const expected = JSON.parse(readFileSync(path.join(EXPORTED, "expected.json"), "utf8"));

describe("networks from Python", () => {
  test.each(Object.keys(expected))("%s gives the same probabilities here", async (recipe) => {
    const found = await page.evaluate(
      async ([folder, images]) => {
        if (!(await cnnMnist.open(folder))) throw new Error("it could not be opened");
        return [...(await cnnMnist.read(images))];
      },
      [`exported/${recipe}/`, testImages()],
    );
    const wanted = expected[recipe].flat();
    expect(found).toHaveLength(wanted.length);
    const apart = Math.max(...found.map((value, place) => Math.abs(value - wanted[place])));
    const spread = Math.max(...wanted) - Math.min(...wanted);
    console.log(
      `${recipe}: at most ${apart.toExponential(1)} apart, of a range of ${spread.toFixed(2)}`,
    );
    expect(apart).toBeLessThan(1e-5);
    await waitForText(page, "#network-status", "step 20\\) reads");
  });
});

const forms = JSON.parse(readFileSync(path.join(EXPORTED, "forms.json"), "utf8"));

describe("networks of other classes and sizes", () => {
  test.each(Object.keys(forms))("%s gives the same probabilities here", async (name) => {
    const images = forms[name].images.flat().map((value) => value / 255);
    const found = await page.evaluate(
      async ([folder, values]) => {
        if (!(await cnnMnist.open(folder))) throw new Error("it could not be opened");
        return [...(await cnnMnist.read(values))];
      },
      [`exported/${name}/`, images],
    );
    const wanted = forms[name].expected.flat();
    expect(found).toHaveLength(wanted.length);
    const apart = Math.max(...found.map((value, place) => Math.abs(value - wanted[place])));
    const spread = Math.max(...wanted) - Math.min(...wanted);
    console.log(`${name}: at most ${apart.toExponential(1)} apart, of ${spread.toFixed(2)}`);
    expect(apart).toBeLessThan(1e-5);
    expect(spread).toBeGreaterThan(0.1);
  });

  test("26 classes have 26 bars with their names, and a drawing is read", async () => {
    await page.evaluate(() => cnnMnist.open("exported/letters/"));
    await waitForText(page, "#network-status", "^exported/letters/ .* reads, with");
    const names = await page.locator("#bars li > span:first-child").allTextContents();
    expect(names).toEqual([..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"]);
    await draw(page, [
      [0.3, 0.2],
      [0.7, 0.2],
      [0.4, 0.8],
    ]);
    await waitForText(page, "#answer", "^[A-Z]$");
    await page.click("#clear");
  });

  test("a colour network is open, and said not to be drawable", async () => {
    await page.evaluate(() => cnnMnist.open("exported/large_colour/"));
    const told = "takes colour pictures \\(32 x 32 pixels, colour, 10 classes\\), which cannot be";
    await waitForText(page, "#network-status", told);
    await draw(page, [
      [0.3, 0.2],
      [0.7, 0.2],
    ]);
    await waitForText(page, "#answer", "^–$");
    await page.click("#clear");
  });

  test("a network of other images is not scored on MNIST's", async () => {
    await page.evaluate(() => cnnMnist.open("exported/letters/"));
    await page.waitForFunction(() => !document.getElementById("start-evaluation").disabled);
    await page.click("#start-evaluation");
    await waitForText(page, "#evaluate-error", "found one for 28 x 28 pixels, grey, 26 classes");
  });
});

test("the network that comes with the page is listed first", async () => {
  const first = await page.locator("#network option").first().textContent();
  expect(first).toMatch(/^fast · MNIST · step 1,000 · 9[89]\.\d\d %$/);
});

test("a network from files, and its download", async () => {
  const files = ["model.json", "weights.bin"].map((name) => path.join(SHIPPED, name));
  await page.setInputFiles("#open-files", files);
  await waitForText(page, "#network-status", "^from files \\(small_cnn, step 1,000\\) reads");
  const saved = await downloadNetwork(page);
  expect(saved.map(({ name }) => name).sort()).toEqual(["model.json", "weights.bin"]);
  const weights = saved.find(({ name }) => name === "weights.bin").buffer;
  expect(weights.equals(readFileSync(path.join(SHIPPED, "weights.bin")))).toBe(true);
  await page.selectOption("#network", { index: 0 });
  await waitForText(page, "#network-status", "^fast .* reads");
  await page.setInputFiles("#open-files", saved);
  await waitForText(page, "#network-status", "^from files \\(small_cnn, step 1,000\\) reads");
});

describe("a broken network is told, and the one before stays", () => {
  const json = readFileSync(path.join(SHIPPED, "model.json"), "utf8");
  const weights = readFileSync(path.join(SHIPPED, "weights.bin"));
  const nan = Buffer.alloc(weights.length, 0xff);
  const changed = (change) => {
    const model = JSON.parse(json);
    change(model.modelTopology.config.layers, model);
    return JSON.stringify(model);
  };

  test.each([
    [
      "cut weights",
      picked(json, weights.subarray(0, -4)),
      "bytes of weights in weights.bin, found",
    ],
    ["no JSON", picked("{", weights), "model.json: expected JSON"],
    ["no weights", picked(json, weights).slice(0, 1), "expected its weights file weights.bin"],
    ["weights of NaN", picked(json, nan), "expected probabilities adding up to 1, found NaN"],
    [
      "an unknown layer",
      picked(
        changed((layers) => {
          layers[0].class_name = "Conv9D";
        }),
        weights,
      ),
      "it cannot be opened \\(.*Conv9D",
    ],
    [
      "no softmax",
      picked(
        changed((layers) => {
          layers.at(-1).config.activation = "linear";
        }),
        weights,
      ),
      "expected probabilities",
    ],
    [
      "other images",
      picked(
        changed((layers) => {
          layers[0].config.batch_input_shape = [null, 28, 28, 3];
        }),
        weights,
      ),
      "the network: ",
    ],
  ])("%s", async (_, files, message) => {
    await page.selectOption("#network", { index: 0 });
    await waitForText(page, "#network-status", "^fast .* reads");
    const options = await page.locator("#network option").count();
    await page.setInputFiles("#open-files", files);
    await waitForText(page, "#network-error", message);
    await waitForText(page, "#network-status", "^fast .* reads, as before");
    expect(await page.locator("#network option").count()).toBe(options);
  });
});

test("no errors in the console", () => expectNone(errors));
