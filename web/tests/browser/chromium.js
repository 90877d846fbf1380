/** A headless Chromium, and what every test does with a page. */

import { existsSync, readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { expect } from "vitest";

// WebGL on the main processor, as machines that test have no graphics processor.
const SOFTWARE_WEBGL = [
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--ignore-gpu-blocklist",
];
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a Chromium. @throws {Error} there is none, with what to install */
export function chromiumPath() {
  const places = process.env.CHROMIUM ? [process.env.CHROMIUM] : PLACES;
  const found = places.find((place) => existsSync(place));
  if (found) return found;
  throw new Error(
    `no Chromium in ${places.join(", ")}: install it (Debian: apt-get install chromium) or name ` +
      "one: CHROMIUM=/path/to/chromium",
  );
}

export function launch() {
  return chromium.launch({ executablePath: chromiumPath(), args: SOFTWARE_WEBGL });
}

/**
 * Opens the page and waits until a network reads.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @returns {Promise<{page: import("playwright-core").Page, errors: string[]}>} and what the console
 *   shows of errors and warnings
 */
export async function openPage(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(address);
  await page.waitForFunction(() => !document.getElementById("download").disabled);
  return { page, errors };
}

/** Draws with the mouse, as a person would. @param {[number, number][]} points shares of the sheet */
export async function draw(page, points) {
  await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
  const { x, y, width, height } = await page.locator("#sheet").boundingBox();
  const [start, ...rest] = points.map(([px, py]) => [x + px * width, y + py * height]);
  await page.mouse.move(...start);
  await page.mouse.down();
  for (const point of rest) await page.mouse.move(...point, { steps: 8 });
  await page.mouse.up();
}

/**
 * Waits until an element has a text.
 *
 * @param {string} pattern a regular expression
 * @throws {Error} it does not get it, with the text that it has instead
 */
export async function waitForText(page, selector, pattern) {
  const matches = ([where, wanted]) =>
    new RegExp(wanted).test(document.querySelector(where)?.textContent ?? "");
  try {
    await page.waitForFunction(matches, [selector, pattern], { timeout: 60_000 });
  } catch (error) {
    const found = await page.locator(selector).textContent();
    const message = `${selector}: expected ${pattern}, found ${found}`;
    throw new Error(message, { cause: error });
  }
}

/**
 * Downloads the network that reads.
 *
 * @returns {Promise<{name: string, mimeType: string, buffer: Buffer}[]>} its files, for a file picker
 */
export async function downloadNetwork(page) {
  const downloads = [];
  page.on("download", (download) => downloads.push(download));
  await page.click("#download");
  await expect.poll(() => downloads.length, { timeout: 10_000 }).toBe(2);
  page.removeAllListeners("download");
  return Promise.all(
    downloads.map(async (download) => ({
      name: download.suggestedFilename(),
      mimeType: "application/octet-stream",
      buffer: readFileSync(await download.path()),
    })),
  );
}

/** How many tensors both workers hold. */
export function tensors(page) {
  return page.evaluate(() => cnnMnist.tensors());
}

export function expectNone(errors) {
  expect(errors).toEqual([]);
}
