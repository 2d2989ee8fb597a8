/**
 * A mask as one byte per pixel, 255 where something is to be painted anew, and what can be done to it. Edges are smooth:
 * a pixel that is half inside gets half. Everything hands back the part that changed, so that only that is drawn again.
 */

export interface Mask { readonly width: number; readonly height: number; readonly data: Uint8Array }
export interface Point { x: number; y: number }
/** Whole pixels; empty when a side is 0. */
export interface Area { x: number; y: number; width: number; height: number }

/** A mask need not be finer than this: it is brought to the picture's size. */
const MOST_SIDE = 1536;

export function blank(width: number, height: number): Mask {
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  return { width: w, height: h, data: new Uint8Array(w * h) };
}

export const whole = (mask: Mask): Area => ({ x: 0, y: 0, width: mask.width, height: mask.height });

export function union(a: Area | null, b: Area): Area {
  if (!a || a.width === 0 || a.height === 0) return b;
  if (b.width === 0 || b.height === 0) return a;
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

/** The pixels that a shape between these corners can touch. */
function around(mask: Mask, left: number, top: number, right: number, bottom: number): Area {
  const x = Math.max(0, Math.floor(left));
  const y = Math.max(0, Math.floor(top));
  return { x, y, width: Math.max(0, Math.min(mask.width, Math.ceil(right)) - x), height: Math.max(0, Math.min(mask.height, Math.ceil(bottom)) - y) };
}

/** Calls `cover` with the middle of every pixel of `area`; it says how much of that pixel is inside, 0 to 1. */
function paint(mask: Mask, area: Area, erase: boolean, cover: (x: number, y: number) => number): Area {
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      const share = cover(x + 0.5, y + 0.5);
      if (share <= 0) continue;
      const at = y * mask.width + x;
      const old = mask.data[at] ?? 0;
      const full = Math.round(Math.min(1, share) * 255);
      mask.data[at] = erase ? Math.min(old, 255 - full) : Math.max(old, full);
    }
  }
  return area;
}

/** A round brush drawn from one point to another; its radius goes over from one to the other, as a pen's pressure does. */
export function stroke(mask: Mask, from: Point & { radius: number }, to: Point & { radius: number }, erase = false): Area {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const reach = Math.max(from.radius, to.radius) + 1;
  const area = around(mask, Math.min(from.x, to.x) - reach, Math.min(from.y, to.y) - reach, Math.max(from.x, to.x) + reach, Math.max(from.y, to.y) + reach);
  return paint(mask, area, erase, (x, y) => {
    const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length));
    const radius = from.radius + along * (to.radius - from.radius);
    return radius + 0.5 - Math.hypot(x - from.x - along * dx, y - from.y - along * dy);
  });
}

export function rectangle(mask: Mask, a: Point, b: Point, erase = false): Area {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  const inside = (at: number, low: number, high: number) => Math.min(1, Math.max(0, Math.min(at + 0.5, high) - Math.max(at - 0.5, low)));
  return paint(mask, around(mask, left, top, right, bottom), erase, (x, y) => inside(x, left, right) * inside(y, top, bottom));
}

/** What a closed line goes around, by the even-odd rule. */
export function lasso(mask: Mask, points: readonly Point[], erase = false): Area {
  if (points.length < 3) return { x: 0, y: 0, width: 0, height: 0 };
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const area = around(mask, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  let row = Number.NaN;
  let crossings: number[] = [];
  return paint(mask, area, erase, (x, y) => {
    if (y !== row) [row, crossings] = [y, crossingsAt(points, y)];
    let share = 0;
    for (let each = 0; each + 1 < crossings.length; each += 2) {
      share += Math.max(0, Math.min(x + 0.5, crossings[each + 1] ?? 0) - Math.max(x - 0.5, crossings[each] ?? 0));
    }
    return share;
  });
}

function crossingsAt(points: readonly Point[], y: number): number[] {
  const found: number[] = [];
  for (const [index, a] of points.entries()) {
    const b = points[(index + 1) % points.length];
    if (b && a.y <= y !== b.y <= y) found.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return found.sort((one, other) => one - other);
}

export function fill(mask: Mask, value: 0 | 255): Area {
  mask.data.fill(value);
  return whole(mask);
}

export function invert(mask: Mask): Area {
  for (let at = 0; at < mask.data.length; at++) mask.data[at] = 255 - (mask.data[at] ?? 0);
  return whole(mask);
}

/** How much of the picture is to be painted, 0 to 1. */
export function covered(mask: Mask): number {
  let sum = 0;
  for (const value of mask.data) sum += value;
  return sum / (255 * mask.data.length);
}

interface Step { area: Area; before: Uint8Array; after: Uint8Array }
const MOST_BYTES = 48 * 1024 ** 2;

/** What was done to a mask, to be undone and done again. Keeps the changed part of each step; the oldest go when that is much. */
export class Steps {
  #mask: Mask;
  #done: Step[] = [];
  #undone: Step[] = [];
  #before: Uint8Array | null = null;
  #area: Area | null = null;

  constructor(mask: Mask) {
    this.#mask = mask;
  }

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  begin(): void {
    this.#before = this.#mask.data.slice();
    this.#area = null;
  }

  touch(area: Area): Area {
    this.#area = union(this.#area, area);
    return area;
  }

  /** Keeps what was changed since `begin` as one step; nothing when nothing was. */
  end(): void {
    const [before, area] = [this.#before, this.#area];
    this.#before = null;
    if (!before || !area) return;
    const step = { area, before: cut(before, this.#mask.width, area), after: cut(this.#mask.data, this.#mask.width, area) };
    if (step.before.every((value, at) => value === step.after[at])) return;
    this.#done.push(step);
    this.#undone = [];
    let bytes = this.#done.reduce((sum, each) => sum + 2 * each.before.length, 0);
    while (bytes > MOST_BYTES && this.#done.length > 1) bytes -= 2 * (this.#done.shift()?.before.length ?? 0);
  }

  /** Takes back what was changed since `begin`, as if it had not been tried. */
  drop(): Area | null {
    const [before, area] = [this.#before, this.#area];
    this.#before = null;
    if (before) this.#mask.data.set(before);
    return area;
  }

  undo(): Area | null {
    return this.#move(this.#done, this.#undone, "before");
  }

  redo(): Area | null {
    return this.#move(this.#undone, this.#done, "after");
  }

  #move(from: Step[], to: Step[], state: "before" | "after"): Area | null {
    const step = from.pop();
    if (!step) return null;
    to.push(step);
    for (let row = 0; row < step.area.height; row++) {
      this.#mask.data.set(step[state].subarray(row * step.area.width, (row + 1) * step.area.width), (step.area.y + row) * this.#mask.width + step.area.x);
    }
    return step.area;
  }
}

function cut(data: Uint8Array, width: number, area: Area): Uint8Array {
  const part = new Uint8Array(area.width * area.height);
  for (let row = 0; row < area.height; row++) {
    const from = (area.y + row) * width + area.x;
    part.set(data.subarray(from, from + area.width), row * area.width);
  }
  return part;
}
