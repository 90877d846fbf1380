/**
 * What was drawn: strokes of a round pen. Places are shares of the sheet's side, 0 to 1.
 *
 * @typedef {{x: number, y: number}} Point
 */

export const PEN = 0.075; // the pen's width, as a share of the sheet's side

/** The strokes on a sheet, of which the last can be taken back. */
export class Strokes {
  #strokes = [];

  get empty() {
    return this.#strokes.length === 0;
  }

  /** Begins a stroke. @param {Point} point */
  begin(point) {
    this.#strokes.push([within(point)]);
  }

  /** Draws on to a point. @param {Point} point */
  extend(point) {
    this.#strokes.at(-1)?.push(within(point));
  }

  /** Takes the last stroke back. */
  undo() {
    this.#strokes.pop();
  }

  clear() {
    this.#strokes = [];
  }

  /**
   * Draws all strokes.
   *
   * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context of a square canvas
   * @param {string} colour
   */
  paint(context, colour) {
    const side = context.canvas.width;
    Object.assign(context, {
      strokeStyle: colour,
      lineWidth: PEN * side,
      lineCap: "round",
      lineJoin: "round",
    });
    for (const [start, ...rest] of this.#strokes) {
      context.beginPath();
      context.moveTo(start.x * side, start.y * side);
      context.lineTo(start.x * side, start.y * side); // a dot, if there is nothing more
      for (const { x, y } of rest) context.lineTo(x * side, y * side);
      context.stroke();
    }
  }
}

function within({ x, y }) {
  const inside = (value) => Math.min(Math.max(value, 0), 1);
  return { x: inside(x), y: inside(y) };
}
