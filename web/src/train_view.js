/** The form that trains, and the curves that grow. */

import { Curves } from "./charts.js";
import { byId, showError } from "./dom.js";
import { reason } from "./errors.js";
import { count, duration, number } from "./format.js";
import { layersTable } from "./network_view.js";
import { RANGES, RECIPES, recipeWith } from "./recipes.js";

export class TrainView {
  #trainer;
  #onTrained;
  #curves = new Curves({ loss: byId("loss-chart"), accuracy: byId("accuracy-chart") });
  #recipe = byId("recipe");
  #runs = 0;

  /**
   * @param {import("./rpc.js").Remote} trainer
   * @param {(name: string, artifacts: import("./models.js").Artifacts) => void} onTrained
   */
  constructor(trainer, onTrained) {
    this.#trainer = trainer;
    this.#onTrained = onTrained;
    this.#recipe.onchange = () => this.#fill();
    byId("train-form").onsubmit = (event) => {
      event.preventDefault();
      this.#train();
    };
    byId("stop-training").onclick = () => this.#trainer.call("stop");
    this.#fill();
  }

  /** Shows the layers, once the trainer has a backend. */
  async start() {
    const { network } = RECIPES[this.#recipe.value];
    byId("train-layers").replaceChildren(
      layersTable(await this.#trainer.call("summary", { network })),
    );
  }

  /** The images are there. */
  ready() {
    byId("start-training").disabled = false;
    byId("train-status").textContent = "Ready to train.";
  }

  /** The images cannot be had. @param {string} why */
  unable(why) {
    byId("train-status").textContent = "";
    showError("train-error", why);
  }

  #fill() {
    for (const field of Object.keys(RANGES)) {
      byId(field).value = RECIPES[this.#recipe.value][field];
    }
  }

  /** The recipe with the numbers of the form. */
  #chosen() {
    const value = (field) => Number(byId(field).value.trim() || Number.NaN);
    const changes = Object.keys(RANGES).map((field) => [field, value(field)]);
    return recipeWith(this.#recipe.value, Object.fromEntries(changes));
  }

  async #train() {
    showError("train-error");
    const name = this.#recipe.value;
    try {
      const recipe = this.#chosen();
      this.#running(true);
      this.#curves.clear();
      byId("train-status").textContent = `Training ${steps(recipe.steps)} of ${name}.`;
      const watch = new Watch(recipe.steps);
      const onReport = (step) => {
        this.#curves.add(step);
        watch.show(step);
      };
      const { step, artifacts } = await this.#trainer.call("train", { name, recipe }, { onReport });
      const how = step < recipe.steps ? "Stopped after" : "Trained";
      byId("train-status").textContent =
        `${how} ${steps(step)} in ${duration(watch.seconds)}.` +
        (step ? " This network now reads what you draw, and can be evaluated." : "");
      if (step) this.#onTrained(`trained here #${++this.#runs}`, artifacts);
    } catch (error) {
      byId("train-status").textContent = "";
      showError("train-error", reason(error));
    } finally {
      this.#running(false);
      await this.#curves.draw();
    }
  }

  #running(running) {
    byId("start-training").disabled = running;
    byId("stop-training").disabled = !running;
    for (const field of ["recipe", ...Object.keys(RANGES)]) byId(field).disabled = running;
  }
}

function steps(number) {
  return `${count(number)} ${number === 1 ? "step" : "steps"}`;
}

/** Progress, the newest numbers and the time left. */
class Watch {
  #steps;
  #start = performance.now();
  #first = 0; // when the first step was done, which is slow: programs are compiled
  #validation = {};

  constructor(steps) {
    this.#steps = steps;
  }

  get seconds() {
    return (performance.now() - this.#start) / 1000;
  }

  /** @param {import("./train.js").Step} told */
  show(told) {
    const { step, loss, accuracy } = told;
    if (told.validationLoss !== undefined) this.#validation = told;
    if (step <= 1) this.#first = this.seconds;
    const parts = [`step ${count(step)} of ${count(this.#steps)}`];
    if (loss !== undefined) parts.push(`loss ${number(loss)}, accuracy ${number(accuracy)}`);
    const { validationLoss, validationAccuracy } = this.#validation;
    parts.push(`validation loss ${number(validationLoss)}, accuracy ${number(validationAccuracy)}`);
    if (step > 1 && step < this.#steps) {
      const pace = (this.seconds - this.#first) / (step - 1);
      parts.push(`${duration(pace * (this.#steps - step))} left`);
    }
    byId("train-numbers").textContent = parts.join(" · ");
    byId("train-progress").value = step / this.#steps;
  }
}
