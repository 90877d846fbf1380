/** A host that knows nothing of the page: the files of a folder below a path, and nothing more. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

/**
 * @param {string} folder
 * @param {string} below the path, such as "/some/where/"
 * @param {Record<string, Record<string, string>>} [headers] by the end of a file's name
 * @returns {Promise<{address: string, asked: string[], close: () => void}>} `asked`: every path that
 *   was asked for
 */
export async function serveStatic(folder, below, headers = {}) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    asked.push(pathname);
    const name = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const end = path.extname(name);
    try {
      if (!name.startsWith(below)) throw new Error("not below the path");
      const content = await readFile(path.join(folder, name.slice(below.length)));
      response.writeHead(200, {
        "Content-Type": TYPES[end] ?? "application/octet-stream",
        ...headers[end],
      });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}${below}`,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
