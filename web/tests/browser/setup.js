/** Serves the built page, with networks of every recipe beside it, to all tests in a browser. */

import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { serveFolder } from "../../server/server.js";
import { chromiumPath } from "./chromium.js";

const WEB = path.join(import.meta.dirname, "..", "..");
const EXPORTED = path.join(WEB, "tests", "exported");

export default async function setup(project) {
  chromiumPath(); // tells at once what is missing
  for (const needed of [path.join(WEB, "dist", "index.html"), EXPORTED]) {
    if (!existsSync(needed)) throw new Error(`${needed}: not found; run make test-web`);
  }
  const folder = await mkdtemp(path.join(tmpdir(), "page-"));
  await cp(path.join(WEB, "dist"), folder, { recursive: true });
  await cp(EXPORTED, path.join(folder, "exported"), { recursive: true });
  const server = await serveFolder(folder, 0);
  project.provide("address", `http://127.0.0.1:${server.address().port}/`);
  return async () => {
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true });
  };
}
