import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { draw, expectNone, launch, openPage, tensors, waitForText } from "./chromium.js";

const SEVEN = [
  [0.25, 0.2],
  [0.75, 0.2],
  [0.45, 0.85],
];
const LAYERS = [
  "conv2d Conv2D · 16 channels of 24 x 24",
  "max_pool MaxPooling2D · 16 channels of 12 x 12",
  "relu Activation · 16 channels of 12 x 12",
  "conv2d_1 Conv2D · 32 channels of 10 x 10",
  "conv2d_2 Conv2D · 32 channels of 8 x 8",
  "max_pool_1 MaxPooling2D · 32 channels of 4 x 4",
  "relu_1 Activation · 32 channels of 4 x 4",
  "dense Dense · 128 units, the strongest 32",
  "dense_1 Dense · 10 units",
];

let browser;
let page;
let errors;

beforeAll(async () => {
  browser = await launch();
  ({ page, errors } = await openPage(browser, inject("address")));
});
afterAll(() => browser?.close());

const names = (where = page) => where.locator(".strip-name").allTextContents();
const button = (layer, place) => `.layer:nth-child(${layer}) button:nth-of-type(${place})`;

test("there is a strip for each layer before anything is drawn", async () => {
  await expect.poll(names, { timeout: 30_000 }).toEqual(LAYERS);
  const firsts = await page.locator(".strip button:first-of-type").allTextContents();
  expect(firsts).toEqual(LAYERS.map(() => "0"));
});

test("the strips live beside the drawing, the strongest channel first", async () => {
  await draw(page, SEVEN);
  await waitForText(page, "#answer", "^7$");
  await expect.poll(names, { timeout: 30_000 }).not.toEqual(LAYERS);
  await page.evaluate(() => cnnMnist.tensors()); // all is shown
  expect((await names()).at(-1)).toMatch(/^dense_1 Dense · 10 units · peak (1\.00|0\.9..)$/);
  expect(await page.locator(button(9, 1)).textContent()).toBe("7");
  const colours = await page.evaluate(() => {
    const canvas = document.querySelector(".layer:last-child canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
    return [canvas.width, canvas.height, ...data.slice(0, 3)];
  });
  expect(colours).toEqual([10, 1, 254, 232, 56]);
  const side = await page.locator("#inside").boundingBox();
  const sheet = await page.locator("#sheet").boundingBox();
  expect(side.x).toBeGreaterThan(sheet.x + sheet.width);
});

test("which strokes decide is marked, and told in a sentence", async () => {
  await waitForText(
    page,
    "#deciding-told",
    "^Filled squares mark ink that speaks for 7, hollow ones ink against it; together they take its " +
      "probability from [0-9.]+ % on a blank sheet to [0-9.]+ % \\(integrated gradients, 16 steps\\)\\.$",
  );
  const yellow = await page.evaluate(() => {
    const canvas = document.getElementById("deciding");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let k = 0; k < data.length; k += 4) found += data[k] === 254 && data[k + 2] === 56;
    return found;
  });
  expect(yellow).toBeGreaterThan(500);
  expect(await page.locator("#deciding").getAttribute("aria-label")).toMatch(
    /^Which strokes decide: most of what speaks for 7 is at the (top|middle|bottom)$/,
  );
});

test("WebAssembly finds the same as the main processor", async () => {
  // No two pixels alike: of equal values in a pool either may be the largest.
  const image = Array.from({ length: 784 }, (_, k) => ((k * 7919) % 1009) / 1009);
  const decided = (where) =>
    where.evaluate(async (pixels) => {
      const { values, label, probability, blank } = await cnnMnist.decide(pixels);
      return { values: [...values], label, probability, blank };
    }, image);
  const here = await decided(page);
  const sum = here.values.reduce((a, b) => a + b);
  expect(Math.abs(sum - (here.probability - here.blank))).toBeLessThan(0.05);
  const other = await openPage(browser, `${inject("address")}?backend=cpu`);
  await expect.poll(() => names(other.page), { timeout: 60_000 }).toEqual(LAYERS);
  const there = await decided(other.page);
  expect(there.label).toBe(here.label);
  const apart = there.values.map((value, place) => Math.abs(value - here.values[place]));
  expect(Math.max(...apart)).toBeLessThan(1e-4);
  expect(Math.max(...there.values)).toBeGreaterThan(0.01);
  await other.page.context().close();
});

test("a click on a channel shows its filter, and another one hides it", async () => {
  const channel = await page.locator(button(1, 2)).textContent();
  await page.click(button(1, 2));
  await waitForText(page, ".filter-name", `^Filter of channel ${channel} of conv2d$`);
  await waitForText(page, ".filter .label", "^conv2d has 5 x 5 weights of the image; they go from");
  expect(await page.locator(".slices canvas").count()).toBe(1);
  expect(await page.locator('[aria-pressed="true"]').count()).toBe(1);
  await page.click(button(1, 2));
  await page.waitForSelector(".filter", { state: "detached" });
  expect(await page.locator('[aria-pressed="true"]').count()).toBe(0);
});

test("deeper filters are a picture for each channel that goes in, the strongest first", async () => {
  await page.click(button(4, 1));
  await waitForText(
    page,
    ".filter .label",
    "^conv2d_1 has 3 x 3 weights for each of the 16 channels of relu, the strongest first; they go",
  );
  expect(await page.locator(".slices canvas").count()).toBe(16);
  await page.click(button(6, 1)); // pooling has none of its own
  await waitForText(page, ".filter .label", "^max_pool_1 has no filters: it carries on channel");
  await page.click(button(8, 1));
  await waitForText(
    page,
    ".filter .label",
    "^dense has 4 x 4 weights .* 32 channels of relu_1, the",
  );
  expect(await page.locator(".filter").count()).toBe(1);
});

test("the keyboard alone reaches every channel", async () => {
  await page.focus(button(1, 1));
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const channel = await page.locator(button(1, 3)).textContent();
  expect(await page.evaluate(() => document.activeElement.ariaLabel)).toBe(
    `conv2d, channel ${channel}`,
  );
  await page.keyboard.press("Enter");
  await waitForText(page, ".filter-name", `^Filter of channel ${channel} of conv2d$`);
  await page.keyboard.press("Tab"); // one stop for the strip, then the filter in it
  await page.keyboard.press("Escape");
  await page.waitForSelector(".filter", { state: "detached" });
  expect(await page.evaluate(() => document.activeElement.textContent)).toBe(channel);
  await page.keyboard.press("End");
  const last = await page.locator(button(1, 16)).textContent();
  expect(await page.evaluate(() => document.activeElement.textContent)).toBe(last);
});

test("without a drawing the strips are empty again", async () => {
  await page.click("#clear");
  await expect.poll(names, { timeout: 30_000 }).toEqual(LAYERS);
  await waitForText(page, "#deciding-told", "^Draw, and the ink that decides is marked");
});

test("the bars need not wait for a large network's inside", async () => {
  await page.evaluate(() => cnnMnist.open("exported/accurate/"));
  await expect.poll(async () => (await names()).length, { timeout: 60_000 }).toBeGreaterThan(20);
  expect((await names())[0]).toMatch(/^column_0\/conv2d Conv2D · 32 channels of/);
  const before = await tensors(page);
  await draw(page, SEVEN);
  const answered = () => page.evaluate(() => performance.getEntriesByName("read").length);
  const read = await answered();
  await page.click("#undo");
  await draw(page, SEVEN);
  await expect.poll(answered, { timeout: 60_000 }).toBeGreaterThan(read);
  await waitForText(page, "#deciding-told", "^Filled squares mark ink");
  expect(await tensors(page)).toBe(before);
});

test("where nothing can be drawn, nothing is shown", async () => {
  await page.evaluate(() => cnnMnist.open("exported/large_colour/"));
  await page.waitForSelector("#inside", { state: "hidden" });
  expect(await page.locator("#deciding-figure").isVisible()).toBe(false);
  await page.evaluate(() => cnnMnist.open("exported/letters/"));
  await page.waitForSelector("#inside", { state: "visible" });
  await expect.poll(async () => (await names()).at(-1)).toMatch(/^dense_1 Dense · 26 units/);
});

test("no errors in the console", () => expectNone(errors));
