/** Whether graphics are drawn by a graphics processor, or by software on the main processor. */

const RENDERERS = ["SwiftShader", "llvmpipe", "softpipe", "Microsoft Basic Render", "Software"];
export const NONE = "no graphics processor";

/**
 * @param {string} renderer as a graphics driver calls itself
 * @returns {string | null} the software that it is; null for a graphics processor
 */
export function softwareName(renderer) {
  const lower = renderer.toLowerCase();
  return RENDERERS.find((name) => lower.includes(name.toLowerCase())) ?? null;
}

/**
 * @param {string} backend that computes
 * @returns {Promise<string | null>} the software that draws for it, or `NONE` where it does not draw;
 *   null for a graphics processor
 */
export async function softwareOf(backend) {
  if (backend === "webgl") return softwareName(webglRenderer());
  if (backend !== "webgpu") return NONE;
  const adapter = await navigator.gpu.requestAdapter();
  const {
    vendor = "",
    architecture = "",
    description = "",
    isFallbackAdapter,
  } = adapter.info ?? {};
  const fallback = isFallbackAdapter ?? adapter.isFallbackAdapter;
  return softwareName(`${vendor} ${architecture} ${description}`) ?? (fallback ? "Software" : null);
}

function webglRenderer() {
  const context = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!context) return "Software";
  const unmasked = context.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL;
  const renderer = context.getParameter(unmasked ?? context.RENDERER);
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return String(renderer);
}
