/** Picture sizes that a model can make, from its limits. All sides in pixels. */

export interface Limits { min_side: number; max_side: number; multiple: number }
export interface Size { width: number; height: number }
export interface Preset extends Size { id: "square" | "portrait" | "landscape" | "tall" | "wide" }

const SHAPES: [Preset["id"], number][] = [["square", 1], ["portrait", 3 / 4], ["landscape", 4 / 3], ["tall", 9 / 16], ["wide", 16 / 9]];

/** Rounds `side` to what the model accepts. */
export function snap(side: number, limits: Limits): number {
  const rounded = Math.round(side / limits.multiple) * limits.multiple;
  const most = Math.floor(limits.max_side / limits.multiple) * limits.multiple;
  const least = Math.ceil(limits.min_side / limits.multiple) * limits.multiple;
  return Math.min(most, Math.max(least, rounded));
}

/** Presets with about the area of the model's own size; shapes that come out equal are left out. */
export function presets(own: Size, limits: Limits): Preset[] {
  const side = Math.sqrt(own.width * own.height);
  const seen = new Set<string>();
  return SHAPES.map(([id, aspect]) => ({
    id,
    width: snap(side * Math.sqrt(aspect), limits),
    height: snap(side / Math.sqrt(aspect), limits),
  })).filter((preset) => {
    const key = `${preset.width}x${preset.height}`;
    return !seen.has(key) && seen.add(key);
  });
}
