import { MessageChannel } from "node:worker_threads";
import { afterAll, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { Remote, serve } from "../../src/rpc.js";

const { port1, port2 } = new MessageChannel();
const page = {
  postMessage: (message, transfer) => port1.postMessage(message, transfer),
};
const scope = { postMessage: (message) => port2.postMessage(message) };
const remote = new Remote(page);
port1.on("message", (data) => page.onmessage({ data }));
port2.on("message", (data) => scope.onmessage({ data }));

serve(
  {
    double: ({ value }) => 2 * value,
    slowly: async ({ value }, report) => {
      report(0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      report(1);
      return value;
    },
    refuse: () => {
      throw new InputError("a wrong file");
    },
    fail: async () => {
      throw new TypeError("a defect");
    },
    size: (bytes) => bytes.length,
  },
  scope,
);

afterAll(() => port1.close());

test("answers find their calls, with reports in between", async () => {
  const reports = [];
  const slow = remote.call("slowly", { value: 5 }, { onReport: (value) => reports.push(value) });
  expect(await remote.call("double", { value: 4 })).toBe(8);
  expect(await slow).toBe(5);
  expect(reports).toEqual([0, 1]);
});

test("errors arrive as what they are", async () => {
  await expect(remote.call("refuse")).rejects.toThrow(InputError);
  await expect(remote.call("fail")).rejects.toThrow("a defect");
  await expect(remote.call("fail")).rejects.not.toThrow(InputError);
  await expect(remote.call("unheard of")).rejects.toThrow();
});

test("what is transferred is gone here", async () => {
  const bytes = new Uint8Array(9);
  expect(await remote.call("size", bytes, { transfer: [bytes.buffer] })).toBe(9);
  expect(bytes.length).toBe(0);
});

test("a worker that dies ends all calls", async () => {
  const worker = { postMessage: () => {} };
  const calling = new Remote(worker).call("double", {});
  worker.onerror({ message: "it died", preventDefault: () => {} });
  await expect(calling).rejects.toThrow("it died");
});
