/** The filter of a channel, as pictures of its weights. */

import { element } from "./dom.js";
import { count, short } from "./format.js";
import { paintSigned } from "./signed_picture.js";

/**
 * @param {{layer: string, channel: number}} choice
 * @param {import("./filters.js").Filter | null} filter of that channel
 * @param {() => void} onClose
 * @returns {HTMLElement}
 */
export function filterPanel(choice, filter, onClose) {
  const close = element("button", { type: "button", textContent: "Close", onclick: onClose });
  const name = `Filter of channel ${choice.channel} of ${choice.layer}`;
  const head = element("div", { className: "filter-head" }, [
    element("p", { className: "filter-name", textContent: name }),
    close,
  ]);
  const parts = [head, element("p", { className: "label", textContent: told(choice, filter) })];
  if (filter) {
    const list = element("ul", { className: "slices" }, slices(filter));
    list.style.setProperty("--sides", filter.width);
    parts.push(list);
  }
  const panel = element("div", { className: "filter card", ariaLabel: name }, parts);
  panel.role = "region";
  panel.onkeydown = ({ key }) => key === "Escape" && onClose();
  return panel;
}

function told(choice, filter) {
  if (!filter) return `${choice.layer} has no weights of its own for a single channel.`;
  const carries =
    filter.layer === choice.layer
      ? ""
      : `${choice.layer} has no filters: it carries on channel ${choice.channel} of ${filter.layer}. `;
  const { height, width, total } = filter;
  const shown = filter.slices.length;
  const [lowest, highest] = extremes(filter);
  const one = height * width === 1 ? "one weight" : `${height} x ${width} weights`;
  const many = total === 1 ? "" : ` for each of the ${count(total)} channels`;
  const which = shown < total ? `, the strongest ${shown} of which are shown` : "";
  const order = total > 1 && shown === total ? ", the strongest first" : "";
  return (
    `${carries}${filter.layer} has ${one}${many} of ${filter.source || "the image"}${which}${order}; ` +
    `they go from ${short(lowest)} to ${short(highest)}.`
  );
}

function slices(filter) {
  const peak = Math.max(...extremes(filter).map(Math.abs));
  const { height, width, total } = filter;
  return filter.slices.map(({ channel, weights }) => {
    const canvas = element("canvas");
    const range = `${short(Math.min(...weights))} to ${short(Math.max(...weights))}`;
    canvas.role = "img";
    canvas.ariaLabel = `Weights for channel ${channel}: ${range}`;
    paintSigned(canvas, weights, { height, width, peak });
    const number = total > 1 ? [element("div", { textContent: String(channel) })] : [];
    return element("li", {}, [canvas, ...number]);
  });
}

/** The lowest and the highest weight that is shown. */
function extremes(filter) {
  const all = filter.slices.flatMap(({ weights }) => [...weights]);
  return [Math.min(...all), Math.max(...all)];
}
