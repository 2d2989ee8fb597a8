/** Justified rows: pictures side by side at one height, edge to edge, like a printed contact sheet. */

export interface Row<T> {
  items: T[];
  height: number;
  widths: number[];
  /** Index of the row's first picture in the whole list. */
  start: number;
}

/**
 * Fills rows of `width` pixels with pictures near `target` pixels high, `gap` between them.
 * The last row is not stretched. Each picture keeps its aspect (limited to 1:3 .. 3:1).
 */
export function justify<T extends { width: number; height: number }>(
  items: readonly T[], width: number, target: number, gap: number,
): Row<T>[] {
  const rows: Row<T>[] = [];
  if (width <= 0) return rows;
  let current: T[] = [];
  let aspects = 0;
  let start = 0;
  const flush = (last: boolean) => {
    const free = width - gap * (current.length - 1);
    const full = free / aspects;
    const height = last ? Math.min(full, target) : full;
    rows.push({ items: current, height, widths: current.map((item) => aspect(item) * height), start });
    start += current.length;
    current = [];
    aspects = 0;
  };
  for (const item of items) {
    current.push(item);
    aspects += aspect(item);
    if (aspects * target + gap * (current.length - 1) >= width) flush(false);
  }
  if (current.length > 0) flush(true);
  return rows;
}

function aspect(item: { width: number; height: number }): number {
  return Math.min(3, Math.max(1 / 3, item.width / Math.max(1, item.height)));
}

/** Things with the same name together, in the order in which they came. */
export function grouped<T>(items: readonly T[], name: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(name(item));
    if (group) group.push(item);
    else groups.set(name(item), [item]);
  }
  return groups;
}
