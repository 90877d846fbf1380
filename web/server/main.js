/** Serves the built page: `node server/main.js`, with PORT as its only setting. */

import path from "node:path";
import { fileURLToPath } from "node:url";
import { HOST, serveFolder } from "./server.js";

const FIRST_PORT = 8080;
const TRIES = 20; // ports in a row, if nobody asked for a certain one

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist");

async function start() {
  const wanted = process.env.PORT;
  if (wanted !== undefined && !(/^\d{1,5}$/.test(wanted) && Number(wanted) < 65_536)) {
    throw new Error(`PORT=${wanted}: expected a number from 0 to 65535`);
  }
  const first = Number(wanted ?? FIRST_PORT);
  const last = wanted === undefined ? first + TRIES - 1 : first;
  for (let port = first; ; port++) {
    try {
      return await serveFolder(folder, port);
    } catch (error) {
      if (error.code === "ENOENT") {
        throw new Error("dist: expected the built page, found nothing; run npm run build");
      }
      if (error.code === "EACCES") throw new Error(`port ${port}: may not be used; name another`);
      if (error.code !== "EADDRINUSE") throw error;
      if (port === last) throw new Error(`port ${port}: is in use; name another: PORT=8123`);
    }
  }
}

try {
  const server = await start();
  console.log(`http://${HOST}:${server.address().port}/  (Ctrl-C ends it)`);
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
