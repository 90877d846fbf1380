import { readFileSync } from "node:fs";
import path from "node:path";
import { createServer } from "vite";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { FILES } from "../../src/mnist_files.js";
import { idxFile } from "../idx_files.js";
import { draw, expectNone, launch, openPage, waitForText } from "./chromium.js";

const WEB = path.join(import.meta.dirname, "..", "..");
const DATA = path.join(WEB, "..", "cnn_mnist", "data", "mnist");

let browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

describe("a wrong data file is told, and drawing still works", () => {
  const content = (name) => readFileSync(path.join(DATA, name));

  test.each([
    [
      "cut off",
      FILES.testImages,
      content(FILES.testImages).subarray(0, 100_000),
      "t10k-images-idx3-ubyte.gz: expected gzip content, found 100,000 bytes",
    ],
    [
      "another one",
      FILES.trainLabels,
      content(FILES.testLabels),
      "train-labels-idx1-ubyte.gz: expected 60000 labels.*found 10000",
    ],
    [
      "of another kind",
      FILES.trainImages,
      content(FILES.trainLabels),
      "train-images-idx3-ubyte.gz: byte offset 0 .*found 0x00000801",
    ],
    [
      "with a label that is no digit",
      FILES.testLabels,
      Buffer.from(idxFile([10_000], () => 11)),
      "t10k-labels-idx1-ubyte.gz: expected labels from 0 to 9, found 11",
    ],
    ["missing", FILES.testLabels, null, "t10k-labels-idx1-ubyte.gz: expected a file, found 404"],
  ])("%s", async (_, name, body, message) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route(`**/data/${name}`, (route) =>
      route.fulfill(body ? { body, contentType: "application/gzip" } : { status: 404, body: "" }),
    );
    await page.goto(inject("address"));
    for (const place of ["#data-error", "#train-error", "#evaluate-error"]) {
      await waitForText(page, place, message);
    }
    expect(await page.locator("#start-training").isDisabled()).toBe(true);
    await waitForText(page, "#network-status", "^fast .* reads");
    await draw(page, [
      [0.5, 0.15],
      [0.5, 0.85],
    ]);
    await waitForText(page, "#answer", "^1$");
    await context.close();
  });
});

test("a list of networks that cannot be read is told", async () => {
  const page = await browser.newPage();
  await page.route("**/models/index.json", (route) => route.fulfill({ body: "<html>" }));
  await page.goto(inject("address"));
  await waitForText(page, "#network-error", "models/index.json: expected JSON");
  await page.close();
});

test("a backend that does not exist is told", async () => {
  const page = await browser.newPage();
  await page.goto(`${inject("address")}?backend=abacus`);
  await waitForText(page, "#page-error", "^\\?backend=abacus: expected one of webgpu, webgl, cpu$");
  await page.close();
});

test("?backend=cpu trains and reads on the main processor", async () => {
  const { page, errors } = await openPage(browser, `${inject("address")}?backend=cpu`);
  await waitForText(page, "#train-status", "^Ready to train");
  expect(await page.locator("#training-backend").textContent()).toBe("cpu");
  expect(await page.locator("#reading-backend").textContent()).toBe("cpu");
  await page.selectOption("#recipe", "tfjs_sgd");
  await page.fill("#steps", "1");
  await page.fill("#batchSize", "8");
  await page.click("#start-training");
  await waitForText(page, "#train-status", "^Trained 1 step in");
  expectNone(errors);
  await page.context().close();
});

test("the page asks nobody but its own server", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const strangers = [];
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(inject("address")) && !/^(data|blob):/.test(url)) strangers.push(url);
  });
  await page.goto(inject("address"));
  await waitForText(page, "#train-status", "^Ready to train");
  expect(strangers).toEqual([]);
  await context.close();
});

test("nothing outside of the built page can be fetched from it", async () => {
  const { page } = await openPage(browser, inject("address"));
  const found = await page.evaluate(async () => {
    const up = ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..\\", "..%5c", "%252e%252e%252f"];
    const addresses = up.flatMap((step) =>
      ["package.json", "etc/passwd"].map((target) => `/models/${step.repeat(8)}${target}`),
    );
    const answers = await Promise.all(addresses.map((address) => fetch(address)));
    return answers.filter(({ status }) => status !== 404).map(({ url }) => url);
  });
  expect(found).toEqual([]);
  await page.context().close();
});

test("the dev server shows the same page", async () => {
  const server = await createServer({
    root: WEB,
    configFile: path.join(WEB, "vite.config.js"),
    server: { port: 0 },
    logLevel: "error",
  });
  try {
    await server.listen();
    const { page, errors } = await openPage(browser, server.resolvedUrls.local[0]);
    await waitForText(page, "#labels", "all55,0005,00010,000");
    await waitForText(page, "#train-status", "^Ready to train");
    await draw(page, [
      [0.5, 0.15],
      [0.5, 0.85],
    ]);
    await waitForText(page, "#answer", "^1$");
    expectNone(errors);
    await page.context().close();
  } finally {
    await server.close();
  }
});
