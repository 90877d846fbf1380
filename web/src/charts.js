/** The curves of a training, drawn by tfjs-vis, which is loaded when the first are drawn. */

const SERIES = ["training, one batch", "validation"];
const COLOURS = ["#b35900", "#08306b"]; // far apart in grey too, and 4.5:1 on white or more
const PAUSE = 500; // milliseconds between two drawings
const LOAD = 0.2; // of the page's time for drawings, which take longer the more steps there are

/** Loss and accuracy against the step. */
export class Curves {
  #places;
  #steps = [];
  #drawing = null;
  #again = false;

  /** @param {{loss: HTMLElement, accuracy: HTMLElement}} places where they are drawn */
  constructor(places) {
    this.#places = places;
  }

  clear() {
    this.#steps = [];
  }

  /** @param {import("./train.js").Step} step */
  add(step) {
    this.#steps[step.step] = step;
    this.draw();
  }

  /** Draws, now or soon; of many calls in a row only the last counts. */
  draw() {
    this.#again = true;
    this.#drawing ??= this.#drawAll().finally(() => {
      this.#drawing = null;
    });
    return this.#drawing;
  }

  async #drawAll() {
    const { linechart } = await import("@tensorflow/tfjs-vis/dist/render/linechart.js");
    while (this.#again) {
      this.#again = false;
      if (this.#steps.length < 2) continue; // Vega complains of a chart of nothing
      const start = performance.now();
      const { loss, accuracy } = this.#places;
      await linechart(loss, this.#values("loss", "validationLoss"), options(loss));
      const shares = this.#values("accuracy", "validationAccuracy");
      await linechart(accuracy, shares, { ...options(accuracy), yAxisDomain: [0, 1] });
      const pause = Math.max(PAUSE, (performance.now() - start) / LOAD);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** Two curves as tfjs-vis takes them: a value for each step, which may be missing. */
  #values(...fields) {
    const values = fields.map((field) =>
      filled(Array.from(this.#steps, (step) => step?.[field])).map((y, x) => ({ x, y })),
    );
    return { values, series: SERIES };
  }
}

/**
 * Values for every step, as tfjs-vis draws no line over a gap: what lies between two known values is
 * on the line between them, and what lies outside of them is null.
 *
 * @param {(number | undefined)[]} values
 * @returns {(number | null)[]}
 */
export function filled(values) {
  const result = values.map((value) => value ?? null);
  let last = -1; // the place of the last known value
  result.forEach((value, place) => {
    if (value === null) return;
    for (let between = last + 1; last >= 0 && between < place; between++) {
      const share = (between - last) / (place - last);
      result[between] = result[last] + share * (value - result[last]);
    }
    last = place;
  });
  return result;
}

function options(place) {
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    xLabel: "step",
    yLabel: "",
    seriesColors: COLOURS,
    fontSize: 12,
  };
}
