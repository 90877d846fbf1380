import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveStatic } from "../static_host.js";
import { draw, expectNone, launch, openPage, waitForText } from "./chromium.js";

const DIST = path.join(import.meta.dirname, "..", "..", "dist");
const BELOW = "/some/where/";
const SEVEN = [
  [0.25, 0.2],
  [0.75, 0.2],
  [0.45, 0.85],
];

let browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

test.each([
  ["with usual headers", {}],
  [
    "with others",
    {
      ".gz": { "Content-Encoding": "gzip" }, // so that the browser unpacks it
      ".wasm": { "Content-Type": "application/octet-stream" },
    },
  ],
])("a host %s shows the whole page below a path", async (_, headers) => {
  const host = await serveStatic(DIST, BELOW, headers);
  try {
    const { page, errors } = await openPage(browser, host.address);
    await draw(page, SEVEN);
    await waitForText(page, "#answer", "^7$");
    await waitForText(page, "#deciding-told", "^Filled squares mark ink that speaks for 7");
    await waitForText(page, "#labels", "all55,0005,00010,000");
    await waitForText(page, "#train-status", "^Ready to train");
    await page.selectOption("#recipe", "tfjs_sgd");
    await page.fill("#steps", "2");
    await page.fill("#batchSize", "8");
    await page.click("#start-training");
    await waitForText(page, "#train-status", "^Trained 2 steps in");
    await page.waitForSelector("#loss-chart canvas");
    // TensorFlow.js warns of the type, and compiles all the same.
    expectNone(errors.filter((text) => !/Expected 'application.wasm'|ArrayBuffer inst/.test(text)));
    expect(host.asked.filter((name) => !name.startsWith(BELOW))).toEqual([]);
    await page.context().close();
  } finally {
    host.close();
  }
});

test("the built page names no address but its own files'", () => {
  const html = readFileSync(path.join(DIST, "index.html"), "utf8");
  const addresses = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, address]) => address);
  const files = addresses.filter((address) => !address.startsWith("data:"));
  expect(files.length).toBeGreaterThan(1);
  expect(files.filter((address) => !address.startsWith("./assets/"))).toEqual([]);
  expect(html).toContain("default-src &#39;self&#39;");
  expect(readdirSync(path.join(DIST, "data"))).toHaveLength(4);
});
