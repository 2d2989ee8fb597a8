/** A view of a picture that fits two of different sizes: `zoom` over the fitted size, and how far it is moved in parts of that size. */

export interface View { zoom: number; x: number; y: number }
export const FITTED: View = { zoom: 1, x: 0, y: 0 };
export const MOST = 16;

/** The size at which a picture fills a room without leaving it; small ones up to three times their size. */
export function fitted(picture: { width: number; height: number }, room: { width: number; height: number }) {
  const scale = Math.max(0.02, Math.min(3, room.width / picture.width, room.height / picture.height));
  return { width: picture.width * scale, height: picture.height * scale };
}

/** Zoomed by `factor` so that the point (`px`, `py`, from the middle, in parts of the fitted size) stays where it is. */
export function zoomed(view: View, factor: number, px = 0, py = 0): View {
  const zoom = Math.min(MOST, Math.max(1, view.zoom * factor));
  if (zoom === 1) return FITTED;
  const by = zoom / view.zoom;
  return kept({ zoom, x: px - (px - view.x) * by, y: py - (py - view.y) * by });
}

export const moved = (view: View, dx: number, dy: number): View => kept({ ...view, x: view.x + dx, y: view.y + dy });

/** The picture never leaves its place altogether. */
function kept({ zoom, x, y }: View): View {
  const most = (zoom - 1) / 2;
  const within = (value: number) => Math.min(most, Math.max(-most, value));
  return { zoom, x: within(x), y: within(y) };
}
