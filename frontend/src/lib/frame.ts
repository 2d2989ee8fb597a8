/** Where a picture goes on beyond its edges: how many pixels are added on which side. Pure. */
import type { Limits, Size } from "./sizes";

export const EDGES = ["left", "right", "top", "bottom"] as const;
export type Edge = (typeof EDGES)[number];
export type Growth = Record<Edge, number>;

export const NO_GROWTH: Growth = { left: 0, right: 0, top: 0, bottom: 0 };
/** The most that one edge may move, as the server has it. */
export const MOST_GROWTH = 2048;

export const grows = (growth: Growth): boolean => EDGES.some((edge) => growth[edge] > 0);

export const grown = (size: Size, growth: Growth): Size => ({ width: size.width + growth.left + growth.right, height: size.height + growth.top + growth.bottom });

const OPPOSITE: Record<Edge, Edge> = { left: "right", right: "left", top: "bottom", bottom: "top" };

/**
 * Moves one edge outwards by `pixels` in all, so that the whole is no larger than the model makes and a multiple of what it
 * makes: the moved edge gives way. An edge that does not move, does not move.
 */
export function moveEdge(growth: Growth, edge: Edge, pixels: number, size: Size, limits: Limits): Growth {
  if (!(pixels > 0)) return { ...growth, [edge]: 0 };
  const side = edge === "left" || edge === "right" ? size.width : size.height;
  const rest = side + growth[OPPOSITE[edge]];
  const most = Math.min(MOST_GROWTH, limits.max_side - rest);
  const total = Math.round((rest + Math.min(pixels, most)) / limits.multiple) * limits.multiple;
  const moved = total - rest;
  return { ...growth, [edge]: Math.max(0, moved > most ? moved - limits.multiple : moved) };
}

export type Preset = "wider" | "taller" | "around";

/** A quarter more on both sides; what does not fit is left out. */
export function preset(which: Preset, size: Size, limits: Limits): Growth {
  let growth = NO_GROWTH;
  for (const edge of EDGES) {
    const across = edge === "left" || edge === "right";
    if ((which === "wider" && !across) || (which === "taller" && across)) continue;
    const room = Math.max(0, limits.max_side - (across ? size.width : size.height)) / 2;
    growth = moveEdge(growth, edge, Math.min(room, (across ? size.width : size.height) / 4), size, limits);
  }
  return growth;
}
