/** Large pictures are made smaller before they are sent: models look at 1536 pixels a side at most, and what comes from a phone has many megabytes. */
const MOST_SIDE = 2048;
const SMALL_BYTES = 512 * 1024;
const MOST_BYTES = 8 * 1024 * 1024;
const QUALITY = 0.92;

/** Width and height in pixels. */
export type Size = readonly [number, number];

/** The size that a picture is brought to; null when it may stay as it is. */
export function smaller([width, height]: Size, bytes: number): Size | null {
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  if (scale === 1 && bytes <= MOST_BYTES) return null;
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

export interface Fitted { file: Blob; from: Size | null; to: Size | null }

/** The picture as it is sent. What this browser cannot read goes as it is: the server says what is wrong with it. */
export async function fitted(file: File): Promise<Fitted> {
  const same: Fitted = { file, from: null, to: null };
  if (file.size <= SMALL_BYTES || typeof createImageBitmap !== "function") return same;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return same;
  try {
    const from: Size = [picture.width, picture.height];
    const to = smaller(from, file.size);
    if (!to) return same;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = to;
    const pen = canvas.getContext("2d");
    if (!pen) return same;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, to[0], to[1]);
    // What may be see-through stays so.
    const form = file.type === "image/jpeg" ? "image/jpeg" : "image/webp";
    const made = await new Promise<Blob | null>((done) => canvas.toBlob(done, form, QUALITY));
    return made && made.size < file.size ? { file: made, from, to } : same;
  } finally {
    picture.close();
  }
}
