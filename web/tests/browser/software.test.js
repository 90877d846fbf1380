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
  await waitForText(page, "#software-note", `${NOTE} the work, and this training takes long\\.$`);
  await page.locator("#train-form").scrollIntoViewIfNeeded(); // now it measures
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
  await page.fill("#batchSize", "512"); // a step takes seconds
  await page.evaluate(() => {
    globalThis.seen = [];
    setInterval(() => {
      const text = document.getElementById("train-numbers").textContent;
      globalThis.seen.push([text, document.getElementById("train-progress").value]);
    }, 100);
  });
  await page.click("#start-training");
  await waitForText(page, "#train-numbers", "^step 1 of 108");
  const seen = await page.evaluate(() => globalThis.seen);
  const within = seen.filter(([text]) => /^step 0 of 108/.test(text));
  expect(within[0][0]).toMatch(/^step 0 of 108 · 0 s so far · about [\d,]+ (s|min) left$/);
  expect(new Set(within.map(([, value]) => value)).size).toBeGreaterThan(2);
  await page.click("#stop-training");
  await waitForText(page, "#train-status", "^Stopped after [0-9]+ steps? in");
});

test("what it expects is near what it takes", async () => {
  await page.selectOption("#recipe", "tfjs_sgd");
  await page.fill("#steps", "10");
  const long = await expected();
  const start = performance.now();
  await page.click("#start-training");
  await waitForText(page, "#train-status", "^Trained 10 steps in");
  // Other programs slow either down; a wrong unit or a forgotten factor is further off.
  const took = (performance.now() - start) / 1000;
  console.log(`expected ${long} s, took ${took.toFixed(1)} s`);
  expect(took).toBeGreaterThan(long / 20);
  expect(took).toBeLessThan(20 * long);
});

test("no graphics processor at all is told", async () => {
  const other = await openPage(browser, `${inject("address")}?backend=cpu`);
  await other.page.locator("#train-form").scrollIntoViewIfNeeded(); // now it measures
  await waitForText(
    other.page,
    "#software-note",
    "^This browser has no graphics processor to train with: .* takes about",
  );
  await other.page.context().close();
});

test("no errors in the console", () => expectNone(errors));
