/** Wires the page: three workers, the data, and a view for each section. */

import { backendsFor } from "./backend_names.js";
import { DatasetView } from "./dataset_view.js";
import { byId, showError } from "./dom.js";
import { DrawView } from "./draw_view.js";
import { reason } from "./errors.js";
import { EvaluateView } from "./evaluate_view.js";
import { InsideView } from "./inside_view.js";
import { loadMnist } from "./mnist_files.js";
import { fetchModel } from "./models.js";
import { NetworkView } from "./network_view.js";
import { Remote } from "./rpc.js";
import { TrainView } from "./train_view.js";

const newWorker = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const reader = new Remote(newWorker());
const trainer = new Remote(newWorker());
const looker = new Remote(newWorker());

const inside = new InsideView(looker);
const drawing = new DrawView(
  (images) => reader.call("read", { images }),
  (image) => inside.show(image),
);
const networks = new NetworkView(reader, () => {
  drawing.use(networks.size, networks.classNames);
  inside.use(networks.artifacts, networks.size, networks.classNames);
  drawing.read();
  showTensors();
});
const training = new TrainView(trainer, (name, artifacts) => {
  networks.add(name, artifacts);
  showTensors();
});
const evaluation = new EvaluateView(reader, networks);
const data = new DatasetView(trainer);

async function showTensors() {
  byId("tensors").textContent = await countTensors();
}

/** How many tensors all workers hold. */
async function countTensors() {
  await inside.settled();
  const held = await Promise.all([reader, trainer, looker].map((worker) => worker.call("memory")));
  return held.reduce((sum, count) => sum + count);
}

async function start() {
  const backends = backendsFor(location.search);
  const startTraining = trainer.call("start", { backends: backends.training });
  byId("reading-backend").textContent = await reader.call("start", { backends: backends.reading });
  await looker.call("start", { backends: backends.reading });
  await networks.start("models/");
  byId("training-backend").textContent = await startTraining;
  await training.start();
  await showTensors();
}

async function startData() {
  const { train, test } = await loadMnist("data/");
  data.count(train, test);
  evaluation.start(test);
  await started;
  await trainer.call("setData", { train, test }, { transfer: [train.images.buffer] });
  training.ready();
  await data.start();
  training.measure();
}

const started = start().catch((error) => showError("page-error", reason(error)));
startData().catch((error) => {
  showError("data-error", reason(error));
  training.unable(reason(error));
  evaluation.unable(reason(error));
});

// For the console: `await cnnMnist.open("models/fast/")`, `await cnnMnist.read(images)`.
globalThis.cnnMnist = {
  /** Opens a network by the address of its folder, and reads with it from then on. */
  open: async (folder) => networks.add(folder, await fetchModel(folder, folder)),
  /** Probabilities [B x 10] of images [B x 784], 0 (background) to 1 (ink). */
  read: (images) => reader.call("read", { images: Float32Array.from(images) }),
  /** Which pixels decide how an image [784] is read. */
  decide: (image) => looker.call("decide", { image: Float32Array.from(image) }),
  /** How many tensors there are. */
  tensors: countTensors,
};
