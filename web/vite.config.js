import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { defineConfig } from "vite";
import { POLICY } from "./server/policy.js";
import { FILES } from "./src/mnist_files.js";

const HERE = import.meta.dirname;
const DATA = path.join(HERE, "..", "cnn_mnist", "data", "mnist");
const MODELS = path.join(HERE, "public", "models");
const SHIPPED = "fast"; // listed first

/** The embedded MNIST beside the page, without a copy in the repository. */
function mnist() {
  const names = Object.values(FILES);
  return {
    name: "mnist",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const name = request.url.split("?", 1)[0].replace(/^\/data\//, "");
        if (!names.includes(name)) return next();
        // Vite would tell the browser to unpack a name in .gz, which the page does itself.
        response.setHeader("Content-Type", "application/gzip");
        response.end(readFileSync(path.join(DATA, name)));
      });
    },
    generateBundle() {
      for (const name of names) {
        const source = readFileSync(path.join(DATA, name));
        this.emitFile({ type: "asset", fileName: `data/${name}`, source });
      }
    },
  };
}

/** `models/index.json`: the networks in `public/models`. */
function modelList() {
  const name = "models/index.json";
  return {
    name: "model-list",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        if (request.url.split("?", 1)[0] !== `/${name}`) return next();
        response.setHeader("Content-Type", "application/json");
        response.end(listOfModels());
      });
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: name, source: listOfModels() });
    },
  };
}

function listOfModels() {
  const names = readdirSync(MODELS, { withFileTypes: true })
    .map(({ name }) => name)
    .filter((name) => !name.startsWith(".") && existsSync(path.join(MODELS, name, "model.json")))
    .sort((a, b) => (b === SHIPPED) - (a === SHIPPED) || a.localeCompare(b, "en"));
  const list = names.map((name) => {
    const { userDefinedMetadata } = JSON.parse(readFileSync(path.join(MODELS, name, "model.json")));
    const { network, step } = userDefinedMetadata ?? {};
    const origin = path.join(MODELS, name, "origin.json"); // of `export_trained.py`
    return { name, network, step, ...(existsSync(origin) && JSON.parse(readFileSync(origin))) };
  });
  return `${JSON.stringify(list, null, 1)}\n`;
}

/** The policy in the page itself, for hosts that send no header; the dev server needs more. */
function policy() {
  const attrs = { "http-equiv": "Content-Security-Policy", content: POLICY };
  return {
    name: "policy",
    apply: "build",
    transformIndexHtml: () => [{ tag: "meta", attrs, injectTo: "head-prepend" }],
  };
}

export default defineConfig({
  base: "./", // every address is relative, so that the page can lie below any path
  plugins: [mnist(), modelList(), policy()],
  server: { host: "127.0.0.1" },
  build: {
    target: "es2023",
    chunkSizeWarningLimit: 2000,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  // Found late, behind the worker's border, each would have the dev server load the page anew.
  optimizeDeps: {
    include: [
      "@tensorflow/tfjs-backend-cpu",
      "@tensorflow/tfjs-backend-wasm",
      "@tensorflow/tfjs-backend-webgl",
      "@tensorflow/tfjs-backend-webgpu",
      "@tensorflow/tfjs-core",
      "@tensorflow/tfjs-layers",
      "@tensorflow/tfjs-vis/dist/render/linechart.js",
    ],
  },
});
