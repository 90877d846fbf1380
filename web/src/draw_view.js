/** The sheet to draw on, what the network sees of it, and how it reads it. */

import { byId, element, showDigit } from "./dom.js";
import { reason } from "./errors.js";
import { percent } from "./format.js";
import { digitImage } from "./ink.js";
import { KeyboardPen } from "./keyboard_pen.js";
import { Latest } from "./latest.js";
import { likeliest } from "./metrics.js";
import { MNIST } from "./sizes.js";
import { Strokes } from "./strokes.js";

const SPEAK_AFTER = 600; // milliseconds without a change
const INK_SIDE = 200; // pixels of the side at which the ink is measured
const MOST_BARS = 30; // of more classes, the likeliest have a bar
const LIKELIEST = 10;

export class DrawView {
  #sheet = byId("sheet");
  #context = this.#sheet.getContext("2d");
  #ink = new OffscreenCanvas(INK_SIDE, INK_SIDE).getContext("2d", { willReadFrequently: true });
  #strokes = new Strokes();
  #keyboard = new KeyboardPen(this.#strokes, () => this.#changed());
  #read;
  #bars = [];
  #names = [];
  #size = MNIST;
  #pointer = null; // the id of the pointer that draws
  #reading = new Latest(() => this.#readOnce());
  #onShown;
  #painting = false;
  #speaking = 0; // a timer

  /**
   * @param {(images: Float32Array) => Promise<Float32Array>} read [1 x P] -> [1 x K]
   * @param {(image: Float32Array | null) => void} onShown told what was read, once the bars show it
   */
  constructor(read, onShown) {
    this.#read = read;
    this.#onShown = onShown;
    this.use(
      MNIST,
      Array.from({ length: MNIST.classes }, (_, k) => String(k)),
    );
    this.#listen();
    this.#paint();
    showDigit(byId("seen"), null);
  }

  /**
   * Draws for a network from now on, with a bar for each class, or, of many, for the likeliest.
   *
   * @param {import("./sizes.js").Size} size
   * @param {string[]} names of the classes
   */
  use(size, names) {
    this.#size = size;
    if (names.join("\n") === this.#names.join("\n")) return;
    this.#names = names;
    const barred = names.length > MOST_BARS ? names.slice(0, LIKELIEST) : names;
    this.#bars = barred.map((name) => {
      const fill = element("span", { className: "fill" });
      const share = element("span", { className: "share", textContent: "–" });
      const track = element("span", { className: "track" }, [fill]);
      const label = element("span", { textContent: name });
      return { row: element("li", {}, [label, track, share]), label, fill, share };
    });
    byId("bars").replaceChildren(...this.#bars.map(({ row }) => row));
  }

  /** Reads what is on the sheet; of many calls in a row only the last counts. */
  read() {
    return this.#reading.ask();
  }

  async #readOnce() {
    const start = performance.now();
    const size = this.#size;
    const blank = this.#strokes.empty || size.channels !== 1;
    const digit = blank ? null : digitImage(this.#measured(), size);
    showDigit(byId("seen"), digit, size);
    const image = digit && Float32Array.from(digit, (value) => value / 255);
    try {
      const probabilities = image && (await this.#read(image));
      if (size !== this.#size) return; // another network reads by now, and the drawing anew
      this.#show(probabilities);
      if (image) performance.measure("read", { start, end: performance.now() });
      this.#onShown(image);
    } catch (error) {
      this.#show(null);
      byId("network-status").textContent = reason(error);
    }
  }

  /** The ink on the sheet: float32 [200 x 200]. */
  #measured() {
    this.#ink.clearRect(0, 0, INK_SIDE, INK_SIDE);
    this.#strokes.paint(this.#ink, "#000");
    const { data } = this.#ink.getImageData(0, 0, INK_SIDE, INK_SIDE);
    const values = new Float32Array(INK_SIDE * INK_SIDE);
    for (let place = 0; place < values.length; place++) values[place] = data[4 * place + 3] / 255;
    return { width: INK_SIDE, height: INK_SIDE, values };
  }

  #show(probabilities) {
    const best = probabilities ? likeliest(probabilities) : -1;
    const shown = this.#bars.map((_, k) => k);
    if (probabilities && probabilities.length > shown.length) {
      const order = Array.from(probabilities.keys());
      order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
      order.slice(0, shown.length).forEach((k, place) => {
        shown[place] = k;
      });
    }
    this.#bars.forEach(({ row, label, fill, share }, place) => {
      const k = shown[place];
      const value = probabilities?.[k] ?? 0;
      label.textContent = this.#names[k];
      row.classList.toggle("best", k === best);
      fill.style.transform = `scaleX(${value})`;
      share.textContent = probabilities ? percent(value) : "–";
    });
    const text = probabilities ? this.#names[best] : "–";
    byId("answer").textContent = text;
    byId("answer").classList.toggle("long", text.length > 3);
    const spoken = probabilities ? `It reads ${text}, ${percent(probabilities[best])}` : "";
    clearTimeout(this.#speaking); // a screen reader need not follow every move of the pen
    this.#speaking = setTimeout(() => {
      byId("spoken").textContent = spoken;
    }, SPEAK_AFTER);
  }

  #listen() {
    this.#sheet.onpointerdown = (event) => {
      if (this.#pointer !== null || event.button !== 0) return;
      this.#pointer = event.pointerId;
      this.#sheet.setPointerCapture(event.pointerId);
      this.#keyboard.rest();
      this.#strokes.begin(this.#place(event));
      this.#changed();
    };
    this.#sheet.onpointermove = (event) => {
      if (event.pointerId !== this.#pointer) return;
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const move of moves.length ? moves : [event]) this.#strokes.extend(this.#place(move));
      this.#changed();
    };
    this.#sheet.onpointerup = this.#sheet.onpointercancel = (event) => {
      if (event.pointerId === this.#pointer) this.#pointer = null;
    };
    this.#sheet.onkeydown = (event) => this.#press(event);
    this.#sheet.onfocus = this.#sheet.onblur = () => this.#schedule();
    byId("undo").onclick = () => this.#undo();
    byId("clear").onclick = () => this.#clear();
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.#schedule();
  }

  #press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") this.#undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "Delete" || event.key === "Backspace") this.#clear();
    else if (!this.#keyboard.press(event.key, event.shiftKey)) return;
    event.preventDefault();
  }

  #undo() {
    this.#keyboard.rest();
    this.#strokes.undo();
    this.#changed();
  }

  #clear() {
    this.#keyboard.rest();
    this.#strokes.clear();
    this.#changed();
  }

  /** A place on the sheet as shares of its side. */
  #place(event) {
    const { left, top, width, height } = this.#sheet.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  }

  #changed() {
    byId("undo").disabled = byId("clear").disabled = this.#strokes.empty;
    this.#schedule();
    this.read();
  }

  #schedule() {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      this.#paint();
    });
  }

  #paint() {
    const { width, height } = this.#sheet;
    const colours = getComputedStyle(this.#sheet);
    this.#context.clearRect(0, 0, width, height);
    if (this.#strokes.empty) {
      this.#context.font = `${width / 16}px system-ui, sans-serif`;
      this.#context.textAlign = "center";
      this.#context.fillStyle = colours.caretColor;
      this.#context.fillText("draw a digit here", width / 2, height / 2);
    }
    this.#strokes.paint(this.#context, colours.color);
    if (this.#sheet.matches(":focus-visible")) this.#keyboard.paint(this.#context, colours);
  }
}
