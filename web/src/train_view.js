/** The form that trains, and the curves that grow. */

import { Curves } from "./charts.js";
import { byId, showError } from "./dom.js";
import { reason } from "./errors.js";
import { count, duration } from "./format.js";
import { layersTable } from "./network_view.js";
import { secondsFor } from "./pace.js";
import { RANGES, RECIPES, recipeWith } from "./recipes.js";
import { NONE } from "./software.js";
import { Watch } from "./watch.js";

const TICK = 250; // milliseconds between two looks at the clock

export class TrainView {
  #trainer;
  #onTrained;
  #curves = new Curves({ loss: byId("loss-chart"), accuracy: byId("accuracy-chart") });
  #recipe = byId("recipe");
  #runs = 0;
  #software = null; // that draws in place of a graphics processor
  #pace = null; // where that is slow
  #measuring = null; // a promise

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
    byId("train-form").oninput = () => this.#note();
    byId("stop-training").onclick = () => this.#trainer.call("stop");
    this.#fill();
  }

  /** Shows the layers and how fast this machine is, once the trainer has a backend. */
  async start() {
    this.#software = await this.#trainer.call("software");
    this.#note();
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

  /** Measures how long a training takes, where it takes long, once its section is looked at. */
  measure() {
    if (!this.#software) return;
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      this.#measuring = this.#measure();
    });
    seen.observe(byId("train-form"));
  }

  async #measure() {
    const { network } = RECIPES[this.#recipe.value];
    try {
      this.#pace = await this.#trainer.call("trial", { network });
      this.#note();
    } catch (error) {
      showError("train-error", reason(error));
    }
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
    this.#note();
  }

  /** Tells of slow graphics, and how long this training would take. */
  #note() {
    const place = byId("software-note");
    place.hidden = !this.#software;
    if (!this.#software) return;
    const why =
      this.#software === NONE
        ? "This browser has no graphics processor to train with"
        : `Graphics are drawn by software here (${this.#software})`;
    const expected = this.#expected();
    const long = expected === null ? "takes long" : `takes about ${duration(expected)}`;
    place.textContent = `${why}: the main processor does all the work, and this training ${long}.`;
  }

  /** Seconds that the training in the form will take; null if that is not known. */
  #expected() {
    if (!this.#pace) return null;
    try {
      return secondsFor(this.#pace, this.#chosen());
    } catch {
      return null; // of a number that is wrong
    }
  }

  /** The recipe with the numbers of the form. */
  #chosen() {
    const typed = Object.keys(RANGES).map((field) => [field, byId(field).value]);
    return recipeWith(this.#recipe.value, Object.fromEntries(typed));
  }

  async #train() {
    showError("train-error");
    const name = this.#recipe.value;
    let ticking = 0;
    try {
      const recipe = this.#chosen();
      this.#running(true);
      this.#curves.clear();
      byId("train-status").textContent = "Measuring how long it will take.";
      await this.#measuring;
      byId("train-status").textContent = `Training ${steps(recipe.steps)} of ${name}.`;
      const watch = new Watch(recipe.steps, this.#expected());
      const show = () => showProgress(watch.progress());
      show();
      ticking = setInterval(show, TICK); // a single step may take seconds
      const onReport = (step) => {
        this.#curves.add(step);
        watch.add(step);
        show();
      };
      const { step, artifacts } = await this.#trainer.call("train", { name, recipe }, { onReport });
      const how = step < recipe.steps ? "Stopped after" : "Trained";
      byId("train-status").textContent =
        `${how} ${steps(step)} in ${duration(watch.seconds())}.` +
        (step ? " This network now reads what you draw, and can be evaluated." : "");
      if (step) this.#onTrained(`trained here #${++this.#runs}`, artifacts);
    } catch (error) {
      byId("train-status").textContent = "";
      showError("train-error", reason(error));
    } finally {
      clearInterval(ticking);
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

/** @param {import("./watch.js").Progress} progress */
function showProgress({ share, text }) {
  byId("train-numbers").textContent = text;
  byId("train-progress").value = share;
}

function steps(number) {
  return `${count(number)} ${number === 1 ? "step" : "steps"}`;
}
