/** A line over time as an SVG path, and what lies under the pointer. */

export interface Point { at: number; value: number | null }

/** Two looks further apart than this are not joined: the server was away. */
const GAP_SECONDS = 16;

/** Points of the last `seconds` before `now`. */
export function windowed(points: readonly Point[], now: number, seconds: number): Point[] {
  const from = now - seconds;
  const first = points.findIndex((point) => point.at >= from);
  if (first < 0) return [];
  return points.slice(Math.max(0, first - 1)); // the one before draws the line to the edge
}

export interface Frame { now: number; seconds: number; max: number; width: number; height: number }

export function xOf(at: number, { now, seconds, width }: Frame): number {
  return width * (1 - (now - at) / seconds);
}

export function yOf(value: number, { max, height }: Frame): number {
  return height * (1 - Math.min(1, Math.max(0, value / max)));
}

/** Joined runs of points: `line` to stroke, `area` to fill. */
export function paths(points: readonly Point[], frame: Frame): { line: string; area: string } {
  let line = "";
  let area = "";
  let run: string[] = [];
  let from = 0;
  let to = 0;
  let last = 0;
  const end = () => {
    if (run.length > 1) {
      const text = `M${run.join("L")}`;
      line += text;
      area += `${text}L${to.toFixed(1)} ${frame.height}L${from.toFixed(1)} ${frame.height}Z`;
    }
    run = [];
  };
  for (const point of points) {
    if (point.value === null || (run.length > 0 && point.at - last > GAP_SECONDS)) end();
    if (point.value === null) continue;
    to = xOf(point.at, frame);
    if (run.length === 0) from = to;
    run.push(`${to.toFixed(1)} ${yOf(point.value, frame).toFixed(1)}`);
    last = point.at;
  }
  end();
  return { line, area };
}

/** The point nearest to a moment, unless it is too far away to speak of. */
export function nearest(points: readonly Point[], at: number): Point | null {
  let best: Point | null = null;
  for (const point of points) {
    if (point.value !== null && (!best || Math.abs(point.at - at) < Math.abs(best.at - at))) best = point;
  }
  return best && Math.abs(best.at - at) <= GAP_SECONDS ? best : null;
}

/** A round number at or above `value` for the top of an axis: 1, 2, 2.5 or 5 times a power of ten. */
export function roundTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}
