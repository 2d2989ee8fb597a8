import { blank, type Mask } from "@/lib/mask";
import type { Size } from "@/lib/sizes";

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

/** The mask in a picture file, brought to the size that a picture's mask has here; null when it cannot be read. */
export async function readMask(url: string, picture: Size, inverted: boolean): Promise<Mask | null> {
  const image = new Image();
  image.src = url;
  const read = await image.decode().then(() => true, () => false);
  const mask = blank(picture.width, picture.height);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const context = canvas.getContext("2d");
  if (!read || !context) return null;
  context.drawImage(image, 0, 0, mask.width, mask.height);
  const { data } = context.getImageData(0, 0, mask.width, mask.height);
  for (let at = 0; at < mask.data.length; at++) mask.data[at] = inverted ? 255 - (data[at * 4] ?? 0) : (data[at * 4] ?? 0);
  return mask;
}
