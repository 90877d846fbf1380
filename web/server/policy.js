/** What the page may load: its own files alone. In a header, or, where a host sends none, in the page. */
export const POLICY =
  // Vega, which draws the curves, compiles its expressions, and WebAssembly is compiled as well.
  "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'";
