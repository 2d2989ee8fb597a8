import type { Mask } from "@/lib/mask";

/** The mask as a PNG: white where something is to be painted, black elsewhere. */
export function maskFile(mask: Mask): Promise<Blob> {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const pixels = new ImageData(mask.width, mask.height);
  for (let at = 0; at < mask.data.length; at++) {
    const value = mask.data[at] ?? 0;
    pixels.data.set([value, value, value, 255], at * 4);
  }
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
  return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("this browser cannot write a PNG"))), "image/png"));
}
