/** IDX files for tests. */

import { gzipSync } from "node:zlib";

/**
 * @param {number[]} shape
 * @param {(place: number) => number} value
 * @returns {Uint8Array} an IDX file of bytes
 */
export function idxFile(shape, value = (place) => place % 256) {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt32BE(0x800 | shape.length);
  for (const [axis, side] of shape.entries()) header.writeUInt32BE(side, 4 + 4 * axis);
  const size = shape.reduce((product, side) => product * side, 1);
  return new Uint8Array([...header, ...Array.from({ length: size }, (_, k) => value(k))]);
}

/** The same, compressed. */
export function gzipped(content) {
  return new Uint8Array(gzipSync(content));
}
