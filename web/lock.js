/** Writes package-lock.json without addresses: `npm run lock`. */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const FILE = "package-lock.json";

execFileSync("npm", ["install", "--package-lock-only"], { stdio: "inherit" });
const lock = JSON.parse(readFileSync(FILE));
for (const found of Object.values(lock.packages)) delete found.funding;
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
