/** What the gallery shows and in which order: the address's part, the question to the server, and the same rules here. */

export const ASPECTS = ["landscape", "square", "portrait"] as const;
export const ORDERS = ["newest", "oldest", "rating"] as const;
export const KINDS = ["image", "video"] as const;

export interface Look {
  q?: string;
  model?: string;
  lora?: string;
  size?: string;
  aspect?: (typeof ASPECTS)[number];
  /** Days as `2026-11-28`, both of them within; in the reader's own time zone. */
  since?: string;
  until?: string;
  kind?: (typeof KINDS)[number];
  favourite?: true;
  /** So many stars or more. */
  rating?: number;
  unrated?: true;
  tag?: string[];
  collection?: string;
  parent?: string;
  /** Left out: newest first. */
  order?: (typeof ORDERS)[number];
}

/** What a picture must have for `matches`. */
interface Seen {
  prompt: string;
  model: string;
  width: number;
  height: number;
  created_at: string;
  recipe: Record<string, unknown>;
  kind?: string;
  parent_id?: string | null;
  favourite?: boolean;
  rating?: number;
  tags?: string[];
  collections?: string[];
}

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value.slice(0, 200) : typeof value === "number" ? String(value) : undefined);
const oneOf = <T extends string>(all: readonly T[], value: unknown) => all.find((each) => each === value);
const day = (value: unknown) => (typeof value === "string" && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)) ? value : undefined);

/** From an address; whatever is not understood is left out. */
export function readLook(search: Record<string, unknown>): Look {
  const rating = Number(search.rating);
  const tags = (Array.isArray(search.tag) ? search.tag : [search.tag]).flatMap((tag) => text(tag)?.toLowerCase() ?? []).slice(0, 5);
  const order = oneOf(ORDERS, search.order);
  const found: Look = {
    q: text(search.q), model: text(search.model), lora: text(search.lora), size: /^\d{1,6}x\d{1,6}$/.test(String(search.size)) ? String(search.size) : undefined,
    aspect: oneOf(ASPECTS, search.aspect), since: day(search.since), until: day(search.until), kind: oneOf(KINDS, search.kind),
    favourite: search.favourite === true || search.favourite === "true" ? true : undefined, rating: rating >= 1 && rating <= 5 ? Math.floor(rating) : undefined,
    unrated: search.unrated === true || search.unrated === "true" ? true : undefined, tag: tags.length ? tags : undefined, collection: text(search.collection), parent: text(search.parent),
    order: order === "newest" ? undefined : order,
  };
  return trimmed(found);
}

/** Without what says nothing: two looks at the same are equal. */
function trimmed(look: Look): Look {
  return Object.fromEntries(Object.entries(look).filter(([, value]) => value !== undefined)) as Look;
}

/** Everything there is, newest first. */
export const isWhole = (look: Look) => Object.keys(trimmed(look)).length === 0;

/** The filters that are set, without words and order. */
export const filtersOf = ({ q: _, order: __, ...filters }: Look) => trimmed(filters);

const dayBegins = (name: string, later = 0) => {
  const [year = 0, month = 1, date = 1] = name.split("-").map(Number);
  return new Date(year, month - 1, date + later);
};

/** The query of GET /api/gallery. */
export function queryOf({ since, until, order, ...look }: Look) {
  return { ...trimmed(look), ...(order && { sort: order }), ...(since && { since: dayBegins(since).toISOString() }), ...(until && { until: dayBegins(until, 1).toISOString() }) };
}

/** Whether a picture belongs to a look, by the server's rules. */
export function matches(image: Seen, look: Look): boolean {
  const prompt = image.prompt.toLowerCase();
  const made = Date.parse(image.created_at);
  const loras = Array.isArray(image.recipe.loras) ? (image.recipe.loras as { key?: string; model?: string }[]).map((lora) => lora.key ?? lora.model) : [];
  const shape = image.width > image.height ? "landscape" : image.width < image.height ? "portrait" : "square";
  return (
    (look.q ?? "").toLowerCase().split(/\s+/).every((word) => prompt.includes(word)) &&
    (!look.model || image.model === look.model) &&
    (!look.lora || loras.includes(look.lora)) &&
    (!look.size || look.size === `${image.width}x${image.height}`) &&
    (!look.aspect || look.aspect === shape) &&
    (!look.since || made >= dayBegins(look.since).getTime()) &&
    (!look.until || made < dayBegins(look.until, 1).getTime()) &&
    (!look.kind || look.kind === (image.kind ?? "image")) &&
    (!look.favourite || image.favourite === true) &&
    (!look.rating || (image.rating ?? 0) >= look.rating) &&
    (!look.unrated || (image.rating ?? 0) === 0) &&
    (look.tag ?? []).every((tag) => image.tags?.includes(tag)) &&
    (!look.collection || image.collections?.includes(look.collection) === true) &&
    (!look.parent || image.parent_id === look.parent)
  );
}
