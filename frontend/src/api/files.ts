/** A picture as a file: where it is saved from, and under what name. */
import type { ImageOut } from "./types";

export function downloadUrl(image: Pick<ImageOut, "url">): string {
  return `${image.url}${image.url.includes("?") ? "&" : "?"}download=1`;
}

/** Several of them as one zip file; the server gives it its name. */
export function archiveUrl(images: readonly Pick<ImageOut, "id">[]): string {
  return `/api/gallery/archive?ids=${images.map((image) => image.id).join(",")}`;
}

export function fileName(image: Pick<ImageOut, "id" | "prompt" | "format" | "seed">): string {
  const words = image.prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 48);
  return `${words || "picture"}-${image.seed}.${image.format === "jpeg" ? "jpg" : image.format}`;
}
