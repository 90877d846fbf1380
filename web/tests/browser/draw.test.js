import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { draw, expectNone, launch, openPage, waitForText } from "./chromium.js";

const SEVEN = [
  [0.25, 0.2],
  [0.75, 0.2],
  [0.45, 0.85],
];
const ONE = [
  [0.5, 0.15],
  [0.5, 0.85],
];

let browser;
let page;
let errors;

beforeAll(async () => {
  browser = await launch();
  ({ page, errors } = await openPage(browser, inject("address")));
});
afterAll(() => browser?.close());

/** The ten probabilities that the bars show, in percent. */
async function bars(where = page) {
  const texts = await where.locator("#bars .share").allTextContents();
  return texts.map((text) => Number.parseFloat(text));
}

test("a drawn digit is read right by the network that comes with the page", async () => {
  await draw(page, SEVEN);
  await waitForText(page, "#answer", "^7$");
  const shares = await bars();
  expect(shares[7]).toBeGreaterThan(50);
  expect(shares.reduce((a, b) => a + b)).toBeCloseTo(100, -1);
  await waitForText(page, "#spoken", "^It reads 7, [0-9.]+ %$");
  const times = await page.evaluate(() =>
    performance.getEntriesByName("read").map(({ duration }) => duration),
  );
  times.sort((a, b) => a - b);
  const at = (share) => `${times[Math.floor(share * (times.length - 1))].toFixed(1)} ms`;
  const measured = `median ${at(0.5)}, 95th percentile ${at(0.95)}, longest ${at(1)}`;
  console.log(`from the pen's move to the bars: ${measured}`);
});

test("what the network sees is 20 pixels high and centred by mass", async () => {
  const pixels = await page.evaluate(() => {
    const context = document.getElementById("seen").getContext("2d");
    return [...context.getImageData(0, 0, 28, 28).data].filter((_, place) => place % 4 === 0);
  });
  const rows = Array.from({ length: 28 }, (_, y) => pixels.slice(28 * y, 28 * y + 28));
  expect(rows.filter((row) => row.some((value) => value > 0))).toHaveLength(20);
  const mass = pixels.reduce((a, b) => a + b);
  const centre = pixels.reduce((sum, value, place) => sum + value * (place % 28), 0) / mass;
  expect(Math.abs(centre - 14)).toBeLessThan(0.51);
});

test("undo and clear", async () => {
  const seven = await bars();
  await draw(page, ONE);
  await expect.poll(bars, { timeout: 30_000 }).not.toEqual(seven); // it has read both
  await page.click("#undo");
  await expect.poll(bars, { timeout: 30_000 }).toEqual(seven);
  await waitForText(page, "#answer", "^7$");
  await page.click("#clear");
  await waitForText(page, "#answer", "^–$");
  expect(await page.locator("#undo").isDisabled()).toBe(true);
  expect(await page.locator("#clear").isDisabled()).toBe(true);
});

test("a digit drawn with the keyboard alone", async () => {
  await page.focus("#sheet");
  await page.keyboard.press("Space");
  for (let k = 0; k < 8; k++) await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Space");
  await waitForText(page, "#answer", "^1$");
  await page.keyboard.press("ArrowUp"); // the pen is up
  await page.keyboard.press("Control+z");
  await waitForText(page, "#answer", "^–$");
});

test("a digit drawn with a finger", async () => {
  const phone = await openPage(browser, inject("address"), {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  const { x, y, width, height } = await phone.page.locator("#sheet").boundingBox();
  const client = await phone.page.context().newCDPSession(phone.page);
  const touch = (type, points) =>
    client.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  const places = Array.from({ length: 12 }, (_, k) => ({
    x: x + 0.5 * width,
    y: y + (0.15 + 0.06 * k) * height,
  }));
  await touch("touchStart", [places[0]]);
  for (const place of places) await touch("touchMove", [place]);
  await touch("touchEnd", []);
  await waitForText(phone.page, "#answer", "^1$");
  expect(await phone.page.evaluate(() => scrollY)).toBe(0);
  expectNone(phone.errors);
  await phone.page.context().close();
});

test("nothing reaches over the edge of a small phone", async () => {
  const narrow = await openPage(browser, inject("address"), {
    viewport: { width: 360, height: 640 },
  });
  await narrow.page.waitForSelector("#labels table");
  const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(360);
  await narrow.page.context().close();
});

test("every control has a name", async () => {
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, select, progress, canvas[role], [tabindex]")]
      .filter(
        (control) => !control.ariaLabel && !control.labels?.length && !control.textContent.trim(),
      )
      .map(({ outerHTML }) => outerHTML),
  );
  expect(nameless).toEqual([]);
});

test("no errors in the console", () => expectNone(errors));
