/** A row of buttons that is one stop of the Tab key; the arrows move within it. */

const MOVES = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** @param {HTMLElement} row @param {HTMLButtonElement[]} buttons in it, at least one */
export function rove(row, buttons) {
  let current = 0;
  const move = (place) => {
    buttons[current].tabIndex = -1;
    current = place;
    buttons[current].tabIndex = 0;
  };
  buttons.forEach((button, place) => {
    button.tabIndex = place ? -1 : 0;
    button.addEventListener("focus", () => move(place));
  });
  row.addEventListener("keydown", (event) => {
    const last = buttons.length - 1;
    const steps = { Home: -current, End: last - current, ...MOVES };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    buttons[Math.min(last, Math.max(0, current + steps[event.key]))].focus();
  });
}
