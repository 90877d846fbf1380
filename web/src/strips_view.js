/** What each layer makes of the drawing: a strip of channels for each, the strongest first. */

import { element } from "./dom.js";
import { count, short } from "./format.js";
import { rove } from "./roving.js";
import { paintSigned } from "./signed_picture.js";

const PEAK = 127; // of a strip's pictures

export class StripsView {
  #place;
  #onChoose;
  #strips = [];
  #chosen = null; // {layer, channel}

  /**
   * @param {HTMLElement} place
   * @param {(choice: {layer: string, channel: number} | null, strip: HTMLElement) => void} onChoose
   *   told which channel is chosen, and in which strip; null if none is any more
   */
  constructor(place, onChoose) {
    this.#place = place;
    this.#onChoose = onChoose;
  }

  /** Shows strips for other layers, without activations. @param {import("./activations.js").Shown[]} layers */
  use(layers) {
    this.#chosen = null;
    this.#strips = layers.map((layer) => this.#made(layer));
    this.#place.replaceChildren(...this.#strips.map(({ row }) => row));
    this.show(null);
  }

  /** @param {import("./activations.js").Strip[] | null} strips null where nothing is drawn */
  show(strips) {
    this.#strips.forEach(({ layer, peak, canvas, cells }, place) => {
      const found = strips?.[place];
      peak.textContent = found ? ` · peak ${short(found.peak)}` : "";
      const size = { ...layer, peak: PEAK, pictures: layer.shown };
      paintSigned(canvas, found?.pictures ?? null, size);
      cells.forEach((cell, row) => {
        const channel = found?.channels[row] ?? row;
        if (channel !== cell.channel) name(cell, layer, channel);
      });
    });
    this.#mark();
  }

  /** Nothing is chosen any more. */
  release() {
    this.#chosen = null;
    this.#mark();
  }

  #made(layer) {
    const cells = Array.from({ length: layer.shown }, () => {
      const button = element("button", { type: "button" });
      return { button, channel: -1 };
    });
    const peak = element("span");
    const heading = element("p", { className: "strip-name label" }, [
      element("strong", { textContent: layer.name }),
      ` ${layer.kind} · ${described(layer)}`,
      peak,
    ]);
    const canvas = element("canvas", { ariaHidden: "true" });
    const buttons = cells.map(({ button }) => button);
    const strip = element("div", { className: isDense(layer) ? "strip cells" : "strip" }, [
      canvas,
      ...buttons,
    ]);
    strip.role = "group";
    strip.ariaLabel = `${layer.name}, the strongest first`;
    strip.style.setProperty("--count", layer.shown);
    rove(strip, buttons);
    const row = element("div", { className: "layer" }, [heading, strip]);
    for (const cell of cells) cell.button.onclick = () => this.#choose(layer, cell.channel, row);
    return { layer, row, peak, canvas, cells };
  }

  #choose({ name }, channel, row) {
    const again = this.#chosen?.layer === name && this.#chosen.channel === channel;
    this.#chosen = again ? null : { layer: name, channel };
    this.#mark();
    this.#onChoose(this.#chosen, row);
  }

  #mark() {
    for (const { layer, cells } of this.#strips) {
      for (const { button, channel } of cells) {
        const { layer: name, channel: chosen } = this.#chosen ?? {};
        button.ariaPressed = String(name === layer.name && chosen === channel);
      }
    }
  }
}

function isDense({ height, width }) {
  return height * width === 1;
}

function described(layer) {
  const { height, width, channels, shown } = layer;
  const all = isDense(layer)
    ? `${count(channels)} units`
    : `${count(channels)} channels of ${height} x ${width}`;
  return shown < channels ? `${all}, the strongest ${shown}` : all;
}

/** Tells which channel a button stands for now. */
function name(cell, layer, channel) {
  cell.channel = channel;
  cell.button.textContent = channel;
  cell.button.ariaLabel = `${layer.name}, ${isDense(layer) ? "unit" : "channel"} ${channel}`;
}
