import { afterAll, beforeAll, expect, inject, test } from "vitest";
import {
  downloadNetwork,
  draw,
  expectNone,
  launch,
  openPage,
  tensors,
  waitForText,
} from "./chromium.js";

let browser;
let page;
let errors;
let trained = 0; // networks

beforeAll(async () => {
  browser = await launch();
  ({ page, errors } = await openPage(browser, inject("address")));
  await waitForText(page, "#train-status", "^Ready to train");
});
afterAll(() => browser?.close());

/** Trains with a recipe's other numbers and waits for the end. */
async function train(recipe, numbers) {
  await page.selectOption("#recipe", recipe);
  for (const [field, value] of Object.entries(numbers)) await page.fill(`#${field}`, String(value));
  await page.click("#start-training");
  await waitForText(page, "#train-status", "^(Trained|Stopped)");
  await waitForText(page, "#network-status", `^trained here #${++trained} `);
}

/** The losses in the line of numbers: of the batch and of the validation images. */
async function losses() {
  const text = await page.locator("#train-numbers").textContent();
  return [...text.matchAll(/loss ([\d.]+)/g)].map(([, value]) => Number(value));
}

test("the data are there: 55,000 images for training, 10,000 for testing", async () => {
  await waitForText(page, "#labels", "all55,0005,00010,000");
  await page.waitForSelector("#more-examples:enabled");
  expect(await page.locator("#examples canvas").count()).toBe(20);
  const labels = () => page.locator("#examples").textContent();
  const before = await labels();
  await page.click("#more-examples");
  await expect.poll(labels, { timeout: 30_000 }).not.toBe(before);
});

test("the backend is chosen by itself and shown", async () => {
  expect(await page.locator("#training-backend").textContent()).toMatch(/^(webgpu|webgl)$/);
  expect(await page.locator("#reading-backend").textContent()).toBe("wasm");
});

test("the layers of the network to train", async () => {
  const rows = await page.locator("#train-layers tbody tr").allTextContents();
  expect(rows).toEqual([
    "conv2dConv2DB x 24 x 24 x 8208",
    "max_poolMaxPooling2DB x 12 x 12 x 80",
    "conv2d_1Conv2DB x 8 x 8 x 163,216",
    "max_pool_1MaxPooling2DB x 4 x 4 x 160",
    "flattenFlattenB x 2560",
    "denseDenseB x 102,570",
  ]);
  await waitForText(page, "#train-layers tfoot", "5,994");
});

test.each([
  ["learningRate", "abc", 'learning rate: expected a number from 0.000001 to 10, found "abc"$'],
  ["batchSize", "1,000", 'batch size: expected a whole number from 1 to 2,048, found "1,000"$'],
  ["steps", "12 steps", 'steps: expected a whole number from 1 to 10,000, found "12 steps"$'],
  ["steps", "", "steps: expected a whole number from 1 to 10,000, found nothing$"],
])("a wrong %s is told", async (field, value, message) => {
  await page.selectOption("#recipe", "tfjs");
  await page.fill(`#${field}`, value);
  await page.click("#start-training");
  await waitForText(page, "#train-error", message);
  await page.selectOption("#recipe", "tfjs_sgd"); // and back to sound numbers
});

test("trains: the loss falls, the curves grow, no tensor is left", async () => {
  const numbers = { steps: 30, batchSize: 32, learningRate: 0.1 };
  await train("tfjs_sgd", numbers);
  const [, validation] = await losses();
  expect(validation).toBeLessThan(2.2); // a guess has ln 10 = 2.30
  await waitForText(page, "#train-status", "^Trained 30 steps in");
  for (const chart of ["#loss-chart", "#accuracy-chart"]) {
    expect(await page.locator(`${chart} canvas`).count()).toBe(1);
  }
  const first = await tensors(page);
  await train("tfjs_sgd", { ...numbers, steps: 2 });
  expect(await tensors(page)).toBe(first);
  await train("tfjs", { steps: 1, batchSize: 16 });
  expect(await tensors(page)).toBe(first);
});

test("a network trained here can be downloaded and opened again", async () => {
  const images = Array.from({ length: 784 }, (_, place) => (place % 7) / 7);
  const reading = () => page.evaluate(async (pixels) => [...(await cnnMnist.read(pixels))], images);
  const before = await reading();
  await page.setInputFiles("#open-files", await downloadNetwork(page));
  await waitForText(page, "#network-status", "^from files \\(tfjs, step 1\\) reads, with 5,994");
  expect(await reading()).toEqual(before);
});

test("a training can be stopped, and the page answers meanwhile", async () => {
  await page.selectOption("#recipe", "tfjs_sgd");
  await page.fill("#steps", "5000");
  await page.click("#start-training");
  await waitForText(page, "#train-numbers", "^step [2-9] of 5,000.* left$");
  await page.selectOption("#network", { index: 0 });
  await draw(page, [
    [0.5, 0.15],
    [0.5, 0.85],
  ]);
  await waitForText(page, "#answer", "^1$");
  await page.click("#stop-training");
  await waitForText(page, "#train-status", "^Stopped after [0-9]+ steps");
  await waitForText(page, "#network-status", `^trained here #${++trained} `);
  expect(await page.locator("#start-training").isDisabled()).toBe(false);
});

test("evaluates: accuracy per class, confusion matrix, mistakes", async () => {
  await page.selectOption("#network", { index: 0 });
  await waitForText(page, "#network-status", "^fast .* reads");
  const before = await tensors(page);
  await page.click("#start-evaluation");
  await waitForText(page, "#evaluate-status", "^fast .* reads 9,[89][0-9][0-9] of 10,000 right");
  expect(await page.locator("#classes tbody tr").count()).toBe(10);
  const cells = (await page.locator("#confusion tbody td").allTextContents()).map(Number);
  expect(cells).toHaveLength(100);
  expect(cells.reduce((a, b) => a + b)).toBe(10_000);
  const right = cells.filter((_, place) => place % 11 === 0).reduce((a, b) => a + b);
  await waitForText(page, "#evaluate-status", `${right.toLocaleString("en")} of 10,000 right`);
  const listed = await page.locator("#network option").first().textContent();
  expect(listed).toContain(` ${(right / 100).toFixed(2)} %`); // as it is noted beside the network
  expect(await page.locator("#mistakes canvas").count()).toBe(30);
  expect(await tensors(page)).toBe(before);
});

test("no errors in the console", () => expectNone(errors));
