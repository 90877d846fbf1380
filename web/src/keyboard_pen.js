/** A pen that the arrow keys move. */

import { PEN } from "./strokes.js";

const STEP = 0.02; // of the sheet's side, for one press
const LONG_STEP = 0.08; // with Shift

const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class KeyboardPen {
  #strokes;
  #onChange;
  #place = { x: 0.5, y: 0.2 };
  #down = false;

  /**
   * @param {import("./strokes.js").Strokes} strokes where it draws
   * @param {() => void} onChange called when the pen has moved or drawn
   */
  constructor(strokes, onChange) {
    this.#strokes = strokes;
    this.#onChange = onChange;
  }

  /** Lifts the pen. */
  rest() {
    this.#down = false;
  }

  /**
   * @param {string} key as in `KeyboardEvent.key`
   * @param {boolean} far whether to take a long step
   * @returns {boolean} whether the key means something here
   */
  press(key, far) {
    if (key === " ") {
      this.#down = !this.#down;
      if (this.#down) this.#strokes.begin(this.#place);
    } else if (Object.hasOwn(DIRECTIONS, key)) {
      const step = far ? LONG_STEP : STEP;
      const [x, y] = DIRECTIONS[key];
      const within = (value) => Math.min(Math.max(value, 0), 1);
      this.#place = { x: within(this.#place.x + step * x), y: within(this.#place.y + step * y) };
      if (this.#down) this.#strokes.extend(this.#place);
    } else {
      return false;
    }
    this.#onChange();
    return true;
  }

  /** Shows where the pen is: a ring, filled while it is down. */
  paint(context, { color, outlineColor }) {
    const side = context.canvas.width;
    context.beginPath();
    context.arc(this.#place.x * side, this.#place.y * side, (PEN * side) / 2, 0, 2 * Math.PI);
    context.lineWidth = 3;
    context.strokeStyle = outlineColor;
    context.fillStyle = color;
    if (this.#down) context.fill();
    context.stroke();
  }
}
