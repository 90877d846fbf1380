/** The inside of the network that reads, while a person draws. It never keeps the bars waiting. */

import { showDeciding } from "./deciding_view.js";
import { byId, showError } from "./dom.js";
import { reason } from "./errors.js";
import { filterPanel } from "./filter_view.js";
import { Latest } from "./latest.js";
import { GRADIENT } from "./signed_picture.js";
import { MNIST } from "./sizes.js";
import { StripsView } from "./strips_view.js";

// Milliseconds without a change before it is computed which strokes decide: as much as many readings.
const REST = 150;

export class InsideView {
  #looker;
  #strips = new StripsView(byId("strips"), (choice, strip) => this.#showFilter(choice, strip));
  #panel = null;
  #network = null; // {artifacts, size, classNames}; null until it is open
  #image = null;
  #explained; // the image on the map; null for a blank one
  #opening = new Latest((network) => this.#told(() => this.#open(network)));
  #showing = new Latest(() => this.#told(() => this.#showStrips()));
  #deciding = new Latest(() => this.#told(() => this.#decide()));

  /** @param {import("./rpc.js").Remote} looker a worker for this alone, with a backend */
  constructor(looker) {
    this.#looker = looker;
    byId("legend").style.backgroundImage = GRADIENT;
    showDeciding(null, MNIST);
  }

  /**
   * Looks into a network from now on.
   *
   * @param {import("./models.js").Artifacts} artifacts
   * @param {import("./sizes.js").Size} size
   * @param {string[]} classNames
   */
  use(artifacts, size, classNames) {
    this.#network = null;
    this.#opening.ask({ artifacts, size, classNames });
  }

  /** Shows what the network makes of an image. @param {Float32Array | null} image null if blank */
  show(image) {
    this.#image = image;
    this.#showing.ask();
  }

  /** When all that was asked for is shown. */
  async settled() {
    await this.#opening.idle;
    await this.#showing.idle;
    await this.#deciding.idle;
  }

  async #open(network) {
    this.#close();
    const grey = network.size.channels === 1;
    byId("inside").hidden = byId("deciding-figure").hidden = !grey; // nothing else can be drawn
    if (!grey) return;
    await this.#looker.call("open", { artifacts: network.artifacts });
    this.#strips.use(await this.#looker.call("inside"));
    this.#network = network;
    this.#explained = undefined;
    await this.#showing.ask();
  }

  async #showStrips() {
    const [network, image] = [this.#network, this.#image];
    if (!network || (image && !fits(image, network))) return;
    const strips = image && (await this.#looker.call("strips", { image }));
    if (network !== this.#network) return; // another one has been chosen
    await nextFrame();
    this.#strips.show(strips);
    this.#deciding.ask();
  }

  async #decide() {
    await this.#rest();
    const [network, image] = [this.#network, this.#image];
    if (!network || image === this.#explained || (image && !fits(image, network))) return;
    const found = image && (await this.#looker.call("decide", { image }));
    if (network !== this.#network || (image && !found)) return; // another one has been chosen
    this.#explained = image;
    const name = found && network.classNames[found.label];
    showDeciding(found && { ...found, image, name }, network.size);
  }

  /** When the pen rests. */
  async #rest() {
    let before = null;
    while (this.#image && this.#image !== before) {
      before = this.#image;
      await new Promise((resolve) => setTimeout(resolve, REST));
    }
  }

  async #showFilter(choice, strip) {
    this.#panel?.remove();
    this.#panel = null;
    if (!choice) return;
    await this.#told(async () => {
      const filter = await this.#looker.call("filter", choice);
      const panel = filterPanel(choice, filter, () => this.#close(strip));
      this.#panel?.remove(); // of a choice in between
      this.#panel = panel;
      strip.append(panel);
    });
  }

  /** Closes the filter, and gives the focus back to the strip that it belongs to. */
  #close(strip) {
    const pressed = strip?.querySelector('[aria-pressed="true"], [tabindex="0"]');
    this.#strips.release();
    this.#panel?.remove();
    this.#panel = null;
    pressed?.focus();
  }

  async #told(work) {
    try {
      await work();
      showError("inside-error");
    } catch (error) {
      showError("inside-error", reason(error));
    }
  }
}

function fits(image, { size }) {
  return image.length === size.height * size.width;
}

/** When the page is painted anew; where it is hidden, soon. */
function nextFrame() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
    setTimeout(resolve, 100);
  });
}
