import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveFolder } from "../../server/server.js";

const SECRET = "what must not be seen";
let base;
let server;

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "served-"));
  const folder = path.join(base, "dist");
  await mkdir(path.join(folder, "data"), { recursive: true });
  await mkdir(path.join(base, "dist-private"));
  await writeFile(path.join(folder, "index.html"), "the page");
  await writeFile(path.join(folder, "data", "a.gz"), "packed");
  await writeFile(path.join(folder, "swapped.js"), "a script");
  for (const name of ["secret.txt", "dist-private/secret.txt"]) {
    await writeFile(path.join(base, name), SECRET);
  }
  await symlink(path.join(base, "secret.txt"), path.join(folder, "link.txt"));
  await symlink(base, path.join(folder, "up"));
  server = await serveFolder(folder, 0);
  await rename(path.join(folder, "swapped.js"), path.join(base, "swapped.js"));
  await symlink(path.join(base, "secret.txt"), path.join(folder, "swapped.js"));
});

afterAll(async () => {
  server.close();
  await rm(base, { recursive: true });
});

/** Sends bytes as they are: clients tidy addresses up before they send them. */
function raw(address, { method = "GET", host = "127.0.0.1" } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect(server.address().port, "127.0.0.1");
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve({ status: Number(text.split(" ")[1]), text }));
    socket.write(`${method} ${address} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}

test("serves the folder's files", async () => {
  for (const address of ["/", "/index.html", "/?backend=cpu"]) {
    const { status, text } = await raw(address);
    expect(status).toBe(200);
    expect(text).toContain("the page");
  }
});

test("packed files are sent as they are", async () => {
  const { text } = await raw("/data/a.gz");
  expect(text).toMatch(/content-type: application\/gzip/i);
  expect(text).not.toMatch(/content-encoding/i);
  expect(text).toContain("packed");
});

test("nothing is fetched from elsewhere, says the header", async () => {
  const { text } = await raw("/");
  expect(text).toMatch(/content-security-policy: default-src 'self'/i);
  expect(text).toMatch(/x-content-type-options: nosniff/i);
});

test.each([
  "/../secret.txt",
  "/data/../../secret.txt",
  "/..%2fsecret.txt",
  "/%2e%2e/secret.txt",
  "/%2e%2e%2fsecret.txt",
  "/%252e%252e/secret.txt",
  "/data/%2E%2E/%2e%2e/secret.txt",
  "/..\\secret.txt",
  "/..%5csecret.txt",
  "/%5c..%5csecret.txt",
  "/....//secret.txt",
  "/./../secret.txt",
  "/%c0%ae%c0%ae/secret.txt",
  "/%00/../secret.txt",
  "/index.html%00",
  "/index.html/../../secret.txt",
  "//secret.txt",
  "/../dist-private/secret.txt",
  "/link.txt",
  "/up/secret.txt",
  "/up/dist/index.html",
  "/swapped.js",
  "/data",
  "/data/",
  "/constructor",
  "/__proto__",
  "secret.txt",
  "file:///etc/passwd",
  "http://127.0.0.1/../secret.txt",
  "*",
])("%s is not there", async (address) => {
  const { status, text } = await raw(address);
  expect(text).not.toContain(SECRET);
  expect([400, 404]).toContain(status);
});

test("only reads", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    expect((await raw("/", { method })).status).toBe(405);
  }
  const { status, text } = await raw("/", { method: "HEAD" });
  expect(status).toBe(200);
  expect(text).toMatch(/content-length: 8/i);
  expect(text).not.toContain("the page");
});

test("answers to this machine's names alone", async () => {
  for (const host of ["localhost:8080", "[::1]:80"]) {
    expect((await raw("/", { host })).status).toBe(200);
  }
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example"]) {
    expect((await raw("/", { host })).status).toBe(403);
  }
});

test("listens on the loopback address", () => {
  expect(server.address().address).toBe("127.0.0.1");
});

test("a port in use and a missing folder are told", async () => {
  const { port } = server.address();
  await expect(serveFolder(base, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  await expect(serveFolder(path.join(base, "none"), 0)).rejects.toMatchObject({ code: "ENOENT" });
});
