/**
 * A web server for one folder, on the loopback address.
 *
 * What it can serve is settled when it starts: every regular file of the folder is listed by its
 * address, and a request is answered from that list or not at all. No path is ever made from what a
 * client sends, and links are not followed, so nothing outside of the folder can be reached.
 */

import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { POLICY } from "./policy.js";

export const HOST = "127.0.0.1";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".gz": "application/gzip", // as it is: the page unpacks it
};

const HEADERS = {
  "Cache-Control": "no-cache",
  "Content-Security-Policy": `${POLICY}; frame-ancestors 'none'`,
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * Serves the files of a folder, as they are listed now.
 *
 * @param {string} folder
 * @param {number} port 0 for any that is free
 * @returns {Promise<import("node:http").Server>} listening
 * @throws {Error} no such folder, or the port is in use (its `code` is EADDRINUSE)
 */
export async function serveFolder(folder, port) {
  const files = await filesOf(folder);
  const server = createServer((request, response) => {
    answer(files, request, response).catch(() => response.destroy());
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, resolve);
  });
  return server;
}

/** Address -> path of every regular file below a folder. */
async function filesOf(folder) {
  const files = new Map();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    files.set(`/${path.relative(folder, file).split(path.sep).join("/")}`, file);
  }
  return files;
}

async function answer(files, request, response) {
  const refuse = (status, text) => {
    response.writeHead(status, { ...HEADERS, "Content-Type": "text/plain; charset=utf-8" });
    response.end(`${text}\n`);
  };
  if (!isLocal(request.headers.host)) return refuse(403, "asked for under a foreign name");
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "only reads");
  const address = request.url.split("?", 1)[0];
  const file = files.get(address === "/" ? "/index.html" : address);
  if (!file) return refuse(404, "not found");
  const { content, size } = await contentOf(file).catch(() => ({}));
  if (!content) return refuse(404, "not found");
  const type = TYPES[path.extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { ...HEADERS, "Content-Type": type, "Content-Length": size });
  response.end(request.method === "HEAD" ? undefined : content);
}

/** Reads a file, unless a link has taken its place. */
async function contentOf(file) {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const content = await handle.readFile();
    return { content, size: content.length };
  } finally {
    await handle.close();
  }
}

/** Whether the client means this machine; another site's name may have been bent to point here. */
function isLocal(host = "") {
  return /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host);
}
