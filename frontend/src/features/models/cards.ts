/** The cards of the page: models that are here and models that the catalogue offers, filtered, sorted, in groups. Pure. */
import type { CatalogueItemOut, ModelOut } from "@/api/types";
import { LOOKS, lookOf, TASKS, type Look, type Task } from "@/lib/models";

export interface Card {
  key: string;
  name: string;
  task: Task;
  family: string;
  look: Look;
  size: number;
  model: ModelOut | null;
  offer: CatalogueItemOut | null;
}

export const STATES = ["here", "loaded", "moving", "error", "offered"] as const;
export type StateFilter = (typeof STATES)[number];
export const SORTS = ["state", "name", "size"] as const;
export type Sort = (typeof SORTS)[number];

const OF_STATE: Record<StateFilter, readonly Look[]> = {
  here: LOOKS.filter((look) => look !== "offered"),
  loaded: ["ready", "parked", "loading", "waiting"],
  moving: ["downloading", "paused"],
  error: ["error", "missing"],
  offered: ["offered"],
};

/** A model that is here hides its offer. */
export function cardsOf(models: ModelOut[], offers: CatalogueItemOut[]): Card[] {
  const here = new Set(models.flatMap((model) => [model.key, model.repo ?? ""]));
  return [
    ...models.map((model) => ({ key: model.key, name: model.name, task: model.task, family: model.family, look: lookOf(model), size: model.size_bytes, model, offer: null })),
    ...offers
      .filter((offer) => !here.has(offer.key) && !here.has(offer.repo))
      .map((offer) => ({ key: offer.key, name: offer.name, task: offer.task, family: offer.family, look: "offered" as const, size: offer.size_bytes, model: null, offer })),
  ];
}

export interface Filter { q?: string; task?: Task; state?: StateFilter; sort?: Sort }

export function matches(card: Card, { q, task, state }: Filter): boolean {
  const text = [card.key, card.name, card.family, card.model?.repo, card.offer?.repo, card.model?.description ?? card.offer?.description, ...(card.model?.tags ?? [])].join(" ").toLowerCase();
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (!task || card.task === task) && (!state || OF_STATE[state].includes(card.look)) && words.every((word) => text.includes(word));
}

const compare: Record<Sort, (a: Card, b: Card) => number> = {
  state: (a, b) => LOOKS.indexOf(a.look) - LOOKS.indexOf(b.look) || (a.model?.waiting?.position ?? 0) - (b.model?.waiting?.position ?? 0) || a.name.localeCompare(b.name),
  name: (a, b) => a.name.localeCompare(b.name),
  size: (a, b) => b.size - a.size || a.name.localeCompare(b.name),
};

export interface Group { task: Task; cards: Card[] }

/** By what they can do, in the order of TASKS. */
export function groupsOf(cards: Card[], filter: Filter): Group[] {
  const shown = cards.filter((card) => matches(card, filter)).sort(compare[filter.sort ?? "state"]);
  return TASKS.map((task) => ({ task, cards: shown.filter((card) => card.task === task) })).filter((group) => group.cards.length > 0);
}

/**
 * Where an arrow key leads in cards of several groups that wrap into rows. `boxes` are their places on the page; up and
 * down go to the nearest card of the next row, whatever group it is of.
 */
export function neighbour(key: string, at: number, boxes: readonly { left: number; top: number }[]): number | null {
  const here = boxes[at];
  if (!here) return null;
  if (key === "Home") return 0;
  if (key === "End") return boxes.length - 1;
  if (key === "ArrowRight") return Math.min(boxes.length - 1, at + 1);
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  const down = key === "ArrowDown";
  if (!down && key !== "ArrowUp") return null;
  const beyond = boxes.map((box, index) => ({ ...box, index })).filter((box) => (down ? box.top > here.top + 4 : box.top < here.top - 4));
  const row = down ? Math.min(...beyond.map((box) => box.top)) : Math.max(...beyond.map((box) => box.top));
  const nearest = beyond.filter((box) => Math.abs(box.top - row) < 4).sort((a, b) => Math.abs(a.left - here.left) - Math.abs(b.left - here.left))[0];
  return nearest?.index ?? at;
}
