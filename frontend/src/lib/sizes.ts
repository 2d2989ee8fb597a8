/** Picture sizes that a model can make, from its limits. All sides in pixels. */

export interface Limits { min_side: number; max_side: number; multiple: number }
export interface Size { width: number; height: number }

/** Rounds `side` to what the model accepts. */
export function snap(side: number, limits: Limits): number {
  const rounded = Math.round(side / limits.multiple) * limits.multiple;
  const most = Math.floor(limits.max_side / limits.multiple) * limits.multiple;
  const least = Math.ceil(limits.min_side / limits.multiple) * limits.multiple;
  return Math.min(most, Math.max(least, rounded));
}

/**
 * The size at which a model works on a picture of this size: the picture's own where it can be, else its shape at about the
 * area of the model's own size.
 */
export function fitted(picture: Size, own: Size, limits: Limits): Size {
  const exact = { width: snap(picture.width, limits), height: snap(picture.height, limits) };
  if (Math.abs(exact.width - picture.width) < limits.multiple && Math.abs(exact.height - picture.height) < limits.multiple) return exact;
  const scale = Math.sqrt((own.width * own.height) / (picture.width * picture.height));
  return { width: snap(picture.width * scale, limits), height: snap(picture.height * scale, limits) };
}
