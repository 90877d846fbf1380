/** What the data look like. */

import { byId, pictured, table } from "./dom.js";
import { count } from "./format.js";
import { CLASSES, PIXELS, VALIDATION_SIZE } from "./mnist_files.js";

const EXAMPLES = 20; // as many as the tutorial shows

export class DatasetView {
  #trainer;

  /** @param {import("./rpc.js").Remote} trainer that has the data */
  constructor(trainer) {
    this.#trainer = trainer;
    byId("more-examples").onclick = () => this.#showExamples();
  }

  /**
   * Shows how many images of each class there are.
   *
   * @param {import("./mnist_files.js").Split} train
   * @param {import("./mnist_files.js").Split} test
   */
  count(train, test) {
    const splits = [
      train.labels.subarray(VALIDATION_SIZE),
      train.labels.subarray(0, VALIDATION_SIZE),
      test.labels,
    ];
    const counts = splits.map(countsOf);
    const rows = Array.from({ length: CLASSES }, (_, k) => [
      String(k),
      ...counts.map((ofSplit) => count(ofSplit[k])),
    ]);
    const heads = ["class", "training", "validation", "test"];
    const totals = ["all", ...splits.map((labels) => count(labels.length))];
    byId("labels").replaceChildren(table(heads, rows, totals));
  }

  /** Shows the first examples, once the trainer has the data. */
  async start() {
    await this.#showExamples();
    byId("more-examples").disabled = false;
  }

  async #showExamples() {
    const { images, labels } = await this.#trainer.call("examples", { count: EXAMPLES });
    const shown = Array.from(labels, (label, k) => {
      const pixels = images.subarray(k * PIXELS, (k + 1) * PIXELS);
      return pictured(
        Uint8Array.from(pixels, (value) => Math.round(255 * value)),
        [String(label)],
      );
    });
    byId("examples").replaceChildren(...shown);
  }
}

function countsOf(labels) {
  const counts = new Array(CLASSES).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
}
