import { expect, test } from "vitest";
import { Latest } from "../../src/latest.js";

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

test("of requests that come while one is done, only the last is done", async () => {
  const done = [];
  const latest = new Latest(async (request) => {
    await soon();
    done.push(request);
  });
  const first = latest.ask(1);
  for (const request of [2, 3, 4]) latest.ask(request);
  await first;
  expect(done).toEqual([1, 4]);
  await latest.ask(5);
  expect(done).toEqual([1, 4, 5]);
});

test("it is idle when nothing is left to do", async () => {
  let done = 0;
  const latest = new Latest(async () => {
    await soon();
    done++;
  });
  await latest.idle;
  expect(done).toBe(0);
  latest.ask();
  latest.ask();
  await latest.idle;
  expect(done).toBe(2);
});
