/** A picture as a file: where it is saved from, and under what name. */
import type { ImageOut } from "./types";

export function downloadUrl(image: Pick<ImageOut, "url">): string {
  return `${image.url}${image.url.includes("?") ? "&" : "?"}download=1`;
}

export function fileName(image: Pick<ImageOut, "id" | "prompt" | "format" | "seed">): string {
  const words = image.prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 48);
  return `${words || "picture"}-${image.seed}.${image.format === "jpeg" ? "jpg" : image.format}`;
}
