import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { expectNone, launch, openPage, waitForText } from "./chromium.js";

let browser; // which draws with SwiftShader
let page;
let errors;

beforeAll(async () => {
  browser = await launch();
  ({ page, errors } = await openPage(browser, inject("address")));
});
afterAll(() => browser?.close());

const NOTE = "^Graphics are drawn by software here \\(SwiftShader\\): the main processor does all";

/** The seconds that the note expects. */
async function expected() {
  const [, number, unit] = (await page.locator("#software-note").textContent()).match(
    /takes about ([\d,]+) (s|min)\.$/,
  );
  return Number(number.replace(",", "")) * (unit === "min" ? 60 : 1);
}

test("graphics by software are told, with the time that a training takes", async () => {
  await waitForText(page, "#software-note", `${NOTE} the work, and this training takes about`);
  const long = await expected();
  await page.selectOption("#recipe", "tfjs_sgd");
  const short = await expected();
  expect(short).toBeLessThan(long);
  await page.fill("#steps", "10000");
  expect(await expected()).toBeGreaterThan(short);
  await page.fill("#steps", "many");
  await waitForText(page, "#software-note", "this training takes long\\.$");
});

test("progress shows from the first second, within the first step", async () => {
  await page.selectOption("#recipe", "tfjs");
  await page.fill("#batchSize", "1024"); // a step takes many seconds
  await page.click("#start-training");
  const seen = () =>
    page.evaluate(() => [
      document.getElementById("train-numbers").textContent,
      document.getElementById("train-progress").value,
    ]);
  const [first] = await seen();
  expect(first).toMatch(/^step 0 of 108 · [0-9] s so far · about [\d,]+ (s|min) left$/);
  await waitForText(page, "#train-numbers", "^step 0 of 108.* [1-9][0-9]* s so far");
  const [, early] = await seen();
  expect(early).toBeGreaterThan(0);
  await expect.poll(async () => (await seen())[1], { timeout: 20_000 }).toBeGreaterThan(early);
  expect((await seen())[0]).toMatch(/^step 0 of 108/);
  await page.click("#stop-training");
  await waitForText(page, "#train-status", "^Stopped after [01] steps? in");
});

test("what it expects is near what it takes", async () => {
  await page.selectOption("#recipe", "tfjs_sgd");
  await page.fill("#steps", "10");
  const long = await expected();
  const start = performance.now();
  await page.click("#start-training");
  await waitForText(page, "#train-status", "^Trained 10 steps in");
  const took = (performance.now() - start) / 1000;
  console.log(`expected ${long} s, took ${took.toFixed(1)} s`);
  expect(took).toBeGreaterThan(long / 6);
  expect(took).toBeLessThan(6 * long);
});

test("no graphics processor at all is told", async () => {
  const other = await openPage(browser, `${inject("address")}?backend=cpu`);
  await waitForText(
    other.page,
    "#software-note",
    "^This browser has no graphics processor to train with: .* takes about",
  );
  await other.page.context().close();
});

test("no errors in the console", () => expectNone(errors));
