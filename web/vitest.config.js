import { defineConfig } from "vitest/config";

const MINUTE = 60_000; // milliseconds

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["tests/unit/*.test.js"],
          // A test of a second takes several beside other programs.
          testTimeout: 4 * MINUTE,
        },
      },
      {
        test: {
          name: "browser",
          include: ["tests/browser/*.test.js"],
          globalSetup: "tests/browser/setup.js",
          // Without a graphics processor a step of the training takes seconds.
          testTimeout: 4 * MINUTE,
          hookTimeout: 2 * MINUTE,
          fileParallelism: false,
        },
      },
    ],
  },
});
