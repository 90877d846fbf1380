/** What a person can mend: one sentence naming the file or field, what was found and expected. */
export class InputError extends Error {
  name = "InputError";
}

/**
 * The message to show for anything that was thrown.
 *
 * @param {unknown} error
 * @returns {string} one line
 */
export function reason(error) {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s+/g, " ").trim().slice(0, 500);
}
