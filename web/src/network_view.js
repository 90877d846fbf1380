/** Which network reads: those beside the page, those from files, those trained in the page. */

import { byId, element, showError, table } from "./dom.js";
import { InputError, reason } from "./errors.js";
import { count } from "./format.js";
import { labelOf } from "./model_label.js";
import { fetchModel, listModels, modelFiles, openModel } from "./models.js";
import { described, MNIST } from "./sizes.js";

export class NetworkView {
  #reader;
  #onChange;
  #entries = []; // {name, load: () => Promise<Artifacts>}
  #current = null; // {name, artifacts, size}
  #choice = 0; // counts, so that of two choices in a row the later one wins
  #select = byId("network");

  /**
   * @param {import("./rpc.js").Remote} reader
   * @param {() => void} onChange called when another network reads
   */
  constructor(reader, onChange) {
    this.#reader = reader;
    this.#onChange = onChange;
    this.#select.onchange = () => this.#choose(this.#select.selectedIndex);
    byId("download").onclick = () => this.#download();
    byId("open-files").onchange = ({ target }) => this.#openFiles(target);
  }

  /** Name of the network that reads; null if there is none. */
  get name() {
    return this.#current?.name ?? null;
  }

  /** What it takes and gives. @returns {import("./sizes.js").Size} */
  get size() {
    return this.#current?.size ?? MNIST;
  }

  /** The network itself; null if there is none. @returns {import("./models.js").Artifacts | null} */
  get artifacts() {
    return this.#current?.artifacts ?? null;
  }

  /** What the classes are called. */
  get classNames() {
    const names = this.#current?.artifacts.userDefinedMetadata?.class_names;
    const { classes } = this.size;
    if (Array.isArray(names) && names.length === classes) {
      return names.map((name) => String(name).slice(0, 30));
    }
    return Array.from({ length: classes }, (_, k) => String(k));
  }

  /** Lists the networks beside the page and opens the first. @param {string} folder */
  async start(folder) {
    try {
      for (const listed of await listModels(folder)) {
        const load = () => fetchModel(`${folder}${listed.name}/`, listed.name);
        this.#append(labelOf(listed), load);
      }
      if (this.#entries.length) await this.#choose(0);
      else byId("network-status").textContent = "There is no network yet: open or train one.";
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Adds a network and reads with it.
   *
   * @param {string} name
   * @param {import("./models.js").Artifacts} artifacts
   * @returns {Promise<boolean>} whether it could be opened; the page tells why not
   */
  async add(name, artifacts) {
    const { network, step } = artifacts.userDefinedMetadata ?? {};
    this.#append(labelOf({ name, network, step }), async () => artifacts);
    if (await this.#choose(this.#entries.length - 1)) return true;
    this.#entries.pop();
    this.#select.lastElementChild.remove();
    return false;
  }

  #append(name, load) {
    this.#entries.push({ name, load });
    this.#select.append(element("option", { textContent: name }));
    this.#select.disabled = false;
  }

  /** Opens an entry; if it cannot be, the one before stays. */
  async #choose(index) {
    const { name, load } = this.#entries[index];
    const choice = ++this.#choice;
    showError("network-error");
    byId("network-status").textContent = `Opening ${name}…`;
    try {
      const artifacts = await load();
      if (choice !== this.#choice) return true;
      const summary = await this.#reader.call("open", { artifacts });
      this.#current = { name, artifacts, size: summary.size };
      this.#select.selectedIndex = index;
      this.#show(summary);
      return true;
    } catch (error) {
      if (choice === this.#choice) this.#fail(error);
      return false;
    }
  }

  #show(summary) {
    byId("download").disabled = false;
    const { size } = summary;
    const parameters = `with ${count(summary.parameters)} parameters`;
    byId("network-status").textContent =
      size.channels === 1
        ? `${this.name} reads, ${parameters}.`
        : `${this.name} is open, ${parameters}. It takes colour pictures (${described(size)}), ` +
          "which cannot be drawn here.";
    byId("network-layers").replaceChildren(layersTable(summary));
    this.#onChange();
  }

  #fail(error) {
    showError("network-error", reason(error));
    const before = this.#entries.findIndex(({ name }) => name === this.name);
    this.#select.selectedIndex = before;
    byId("network-status").textContent = this.name
      ? `${this.name} reads, as before.`
      : "No network reads: open or train one.";
  }

  async #openFiles(input) {
    const files = [...input.files];
    input.value = ""; // so that the same files can be chosen again
    if (!files.length) return;
    try {
      await this.add("from files", await openModel(files));
    } catch (error) {
      this.#fail(error instanceof InputError ? error : new Error(`model files: ${reason(error)}`));
    }
  }

  #download() {
    for (const { name, content } of modelFiles(this.#current.artifacts)) {
      const href = URL.createObjectURL(content);
      element("a", { href, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser may ask before it saves
    }
  }
}

/** The layers of a network as a table. @param {import("./summary.js").Summary} summary */
export function layersTable({ layers, parameters }) {
  const rows = layers.map(({ name, kind, shape, parameters: own }) => [
    name,
    kind,
    shape,
    count(own),
  ]);
  const heads = ["layer", "kind", "output", "parameters"];
  const made = table(heads, rows, ["all", "", "", count(parameters)]);
  made.className = "layers";
  return made;
}
