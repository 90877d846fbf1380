/** What the network got right and wrong on the test images. */

import { byId, element, pictured, showError, table } from "./dom.js";
import { reason } from "./errors.js";
import { count, number } from "./format.js";

// From here on a cell's ground is so strong that its number takes the other colour; at this point
// either has a contrast of 4.5.
const STRONG = 0.67;

export class EvaluateView {
  #reader;
  #networks;
  #split = null;

  /**
   * @param {import("./rpc.js").Remote} reader
   * @param {import("./network_view.js").NetworkView} networks
   */
  constructor(reader, networks) {
    this.#reader = reader;
    this.#networks = networks;
    byId("start-evaluation").onclick = () => this.#evaluate();
  }

  /** The images are there. @param {import("./mnist_files.js").Split} split */
  start(split) {
    this.#split = split;
    byId("start-evaluation").disabled = false;
    byId("evaluate-status").textContent = "Ready to evaluate.";
  }

  /** The images cannot be had. @param {string} why */
  unable(why) {
    byId("evaluate-status").textContent = "";
    showError("evaluate-error", why);
  }

  async #evaluate() {
    const { name, classNames } = this.#networks;
    const status = byId("evaluate-status");
    const total = this.#split.labels.length;
    showError("evaluate-error");
    if (name === null) {
      showError("evaluate-error", "There is no network to evaluate: open or train one.");
      return;
    }
    byId("start-evaluation").disabled = true;
    status.textContent = `Reading ${count(total)} images with ${name}.`;
    try {
      const onReport = (images) => {
        byId("evaluate-progress").value = images / total;
      };
      const report = await this.#reader.call("evaluate", { split: this.#split }, { onReport });
      if (report) show(report, classNames);
      status.textContent = report
        ? `${name} reads ${count(report.right)} of ${count(report.images)} right.`
        : "Stopped, as another network was chosen.";
    } catch (error) {
      status.textContent = "";
      showError("evaluate-error", reason(error));
    } finally {
      byId("start-evaluation").disabled = false;
    }
  }
}

/**
 * @param {import("./metrics.js").Report} report
 * @param {string[]} names of the ten classes
 */
function show(report, names) {
  const scores = {
    accuracy: number(report.accuracy),
    images: count(report.images),
    mistakes: count(report.images - report.right),
    "loss (nats)": number(report.loss),
  };
  byId("scores").replaceChildren(
    ...Object.entries(scores).map(([name, value]) =>
      element("div", {}, [
        element("dt", { textContent: name }),
        element("dd", { textContent: value }),
      ]),
    ),
  );
  byId("classes").replaceChildren(
    table(
      ["class", "accuracy", "precision", "F1", "images", "right"],
      report.classes.map(({ index, accuracy, precision, f1, images, right }) => [
        names[index],
        ...[accuracy, precision, f1].map(number),
        ...[images, right].map(count),
      ]),
      ["all", number(report.accuracy), "", "", count(report.images), count(report.right)],
    ),
  );
  byId("confusion").replaceChildren(confusionTable(report.confusion, names));
  byId("mistakes").replaceChildren(
    ...report.mistakes.map(({ image, label, predicted, probability }) =>
      pictured(image, [
        `true: ${names[label]}`,
        `predicted: ${names[predicted]}`,
        number(probability),
      ]),
    ),
  );
  byId("report").hidden = false;
}

function confusionTable(confusion, names) {
  const rows = confusion.map((row, k) => [names[k], ...row]);
  const made = table(["true", ...names], rows);
  made.prepend(element("caption", { textContent: "predicted class" }));
  made.className = "confusion";
  confusion.forEach((row, k) => {
    const images = Math.max(
      1,
      row.reduce((sum, value) => sum + value, 0),
    );
    row.forEach((value, predicted) => {
      // The cube root lifts an error of 1 % to a fifth of the scale, where it can be seen.
      const strength = Math.cbrt(value / images);
      const cell = made.tBodies[0].rows[k].cells[predicted + 1];
      cell.style.setProperty("--strength", strength);
      cell.classList.toggle("strong", strength > STRONG);
      cell.classList.toggle("right", k === predicted);
    });
  });
  return made;
}
