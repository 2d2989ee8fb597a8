import type { Row } from "@/lib/rows";

/** Where an arrow key leads in justified rows: up and down to the picture above or below the middle of this one. Null for other keys. */
export function step<T>(key: string, at: number, rows: Row<T>[], count: number): number | null {
  if (key === "ArrowRight") return Math.min(count - 1, at + 1);
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 3, PageUp: -3 }[key];
  if (by === undefined) return null;
  const row = rows.findIndex((item) => at >= item.start && at < item.start + item.items.length);
  const from = rows[row];
  const to = rows[Math.min(rows.length - 1, Math.max(0, row + by))];
  if (!from || !to) return at;
  const middle = from.widths.slice(0, at - from.start).reduce((sum, width) => sum + width, 0) + (from.widths[at - from.start] ?? 0) / 2;
  let edge = 0;
  for (const [index, width] of to.widths.entries()) {
    edge += width;
    if (middle <= edge) return to.start + index;
  }
  return to.start + to.items.length - 1;
}
