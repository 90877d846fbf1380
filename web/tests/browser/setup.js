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
  if (!existsSync(path.join(WEB, "dist", "index.html"))) {
    throw new Error("dist: expected the built page, found nothing; run npm run build");
  }
  const folder = await mkdtemp(path.join(tmpdir(), "page-"));
  await cp(path.join(WEB, "dist"), folder, { recursive: true });
  if (existsSync(EXPORTED)) {
    await cp(EXPORTED, path.join(folder, "exported"), { recursive: true });
  }
  const server = await serveFolder(folder, 0);
  project.provide("address", `http://127.0.0.1:${server.address().port}/`);
  return async () => {
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true });
  };
}
