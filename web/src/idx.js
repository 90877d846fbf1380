/**
 * IDX files, plain or gzip: one array of bytes each.
 *
 * An IDX file is a header and then the values, row by row. The header is the magic number (two zero
 * bytes, the element type, the number of dimensions) and one big-endian uint32 per dimension.
 * Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
 */

import { InputError } from "./errors.js";

const UINT8 = 0x08;
const REMEDY = "replace it by a good copy";

/**
 * Reads the content of one IDX file, gzip or plain, told by its first two bytes: a server may unpack
 * a file on its way.
 *
 * @param {Uint8Array} content
 * @param {string} name of the file, for the messages
 * @param {number[]} itemShape of one item: [28, 28] for images, [] for labels
 * @returns {Promise<Uint8Array>} [N x items], N at least 1
 * @throws {InputError} the content is not such a file
 */
export async function readIdx(content, name, itemShape) {
  const compressed = content[0] === 0x1f && content[1] === 0x8b;
  const plain = compressed ? await gunzip(content, name) : content;
  return parseIdx(plain, name, itemShape, compressed ? " of the uncompressed content" : "");
}

/**
 * Unpacks gzip.
 *
 * @param {Uint8Array} content
 * @param {string} name of the file, for the messages
 * @returns {Promise<Uint8Array>}
 * @throws {InputError} damaged or truncated
 */
export async function gunzip(content, name) {
  const unpacked = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  } catch {
    throw new InputError(
      `${name}: expected gzip content, found ${content.length.toLocaleString("en")} bytes that ` +
        `are damaged or cut off; ${REMEDY}`,
    );
  }
}

/**
 * @param {Uint8Array} content uncompressed
 * @param {string} name
 * @param {number[]} itemShape
 * @param {string} [place] what follows "byte offset N" in the messages
 * @returns {Uint8Array} the values, a view of `content`
 */
export function parseIdx(content, name, itemShape, place = "") {
  const fail = (offset, expected, found) => {
    throw new InputError(
      `${name}: byte offset ${offset}${place}: expected ${expected}, found ${found}; ${REMEDY}`,
    );
  };
  const rank = 1 + itemShape.length;
  const magic = (UINT8 << 8) | rank;
  const kind = `magic number ${hex(magic)} (uint8, ${rank}-D)`;
  const header = 4 + 4 * rank;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  if (content.length < 4) fail(content.length, kind, "the end of the content");
  if (view.getUint32(0) !== magic) fail(0, kind, hex(view.getUint32(0)));
  if (content.length < header) {
    fail(content.length, `a header of ${header} bytes`, "the end of the content");
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (shape[0] === 0) fail(4, "a size of at least 1 for dimension 0", 0);
  itemShape.forEach((side, axis) => {
    const found = shape[axis + 1];
    if (found !== side) {
      fail(8 + 4 * axis, `images of ${itemShape.join(" x ")} pixels`, `a side of ${found}`);
    }
  });
  const total = header + shape.reduce((product, side) => product * side, 1);
  if (content.length < total) {
    const sizes = `${header} of header, ${shape.join(" x ")} of values`;
    fail(content.length, `${total} bytes (${sizes})`, "the end of the content");
  }
  if (content.length > total) fail(total, "the end of the content", "more bytes");
  return content.subarray(header);
}

function hex(value) {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
