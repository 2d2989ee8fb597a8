/**
 * The lists of pictures in the query cache: what comes, goes and comes back is put where it belongs, and no page is asked
 * for again. Lists are in the order of their look; `total` (of the whole gallery only) stands on their first page.
 */
import { replaceEqualDeep, type InfiniteData, type QueryClient, type QueryKey } from "@tanstack/react-query";

import { isWhole, matches, type Look } from "@/lib/look";

import { keys } from "./keys";
import type { ImageOut, ImagePage, MarksOut } from "./types";

type ImagePages = InfiniteData<ImagePage>;

const KEPT = 2000;

/** Pictures that were taken off here, so that the server's word on the same deletion does not count them twice. */
const gone = new Set<string>();
/** Pictures that were taken off as the last of their page, with that page's cursor: the next page begins after them. */
const ends = new Map<string, string>();

/**
 * For `structuralSharing`: a page that was on its way when pictures were taken off is put after the pages of before that,
 * and may hold some of them itself. What is gone stays gone.
 */
export function withoutGone(old: unknown, fresh: unknown): unknown {
  const data = replaceEqualDeep(old, fresh) as ImagePages;
  if (gone.size === 0 || !data.pages.some((page) => page.items.some(({ id }) => gone.has(id)))) return data;
  const pages = data.pages.map((page) => ({ ...page, items: page.items.filter(({ id }) => !gone.has(id)) }));
  const amount = (some: ImagePage[]) => some.reduce((sum, page) => sum + page.items.length, 0);
  return recounted({ ...data, pages }, amount(pages) - amount(data.pages));
}

/** What the server says now counts; whatever was noted before it does not. */
export function forgetDeletions(): void {
  gone.clear();
  ends.clear();
}

export function addImages(client: QueryClient, images: ImageOut[]): void {
  const newest = [...images].sort((a, b) => b.index - a.index);
  client.setQueryData<ImagePages>(keys.galleryList({}), (data) => {
    const [first, ...rest] = data?.pages ?? [];
    if (!data || !first) return data;
    const known = new Set(data.pages.flatMap((page) => page.items.map((image) => image.id)));
    const added = newest.filter((image) => !known.has(image.id));
    return { ...data, pages: [counted({ ...first, items: [...added, ...first.items] }, added.length), ...rest] };
  });
  void client.invalidateQueries({ queryKey: keys.galleryLists, predicate: (query) => !isWhole(lookOf(query.queryKey)) });
  void client.invalidateQueries({ queryKey: keys.facets });
}

/** What somebody said of pictures: changed where they are shown, taken off where they no longer belong, put where they do now. */
export function changeImages(client: QueryClient, images: ImageOut[]): void {
  const news = new Map(images.map((image) => [image.id, image]));
  eachList(client, (data, key) => {
    let pages = data.pages;
    const here = new Set<string>();
    if (pages.some((page) => page.items.some((item) => news.has(item.id)))) {
      pages = pages.map((page) => {
        if (!page.items.some((item) => news.has(item.id))) return page;
        const items = page.items.flatMap((item) => {
          here.add(item.id);
          const image = news.get(item.id) ?? item;
          return image === item || matches(image, lookOf(key)) ? [image] : [];
        });
        return { ...page, items };
      });
    }
    pages = insert(pages, images.filter((image) => !here.has(image.id)), key).pages;
    return pages === data.pages ? data : { ...data, pages };
  });
  for (const [key] of client.getQueriesData({ queryKey: keys.marksLists })) {
    client.setQueryData<MarksOut[]>(key, (marks) => marks?.flatMap((one) => {
      const image = news.get(one.id);
      if (!image) return [one];
      const { favourite = false, rating = 0, tags = [], collections = [] } = image;
      return matches(image, lookOf(key)) ? [{ id: one.id, favourite, rating, tags, collections }] : [];
    }));
  }
  client.setQueriesData<ImageOut>({ queryKey: ["gallery", "one"] }, (image) => (image && news.get(image.id)) ?? image);
  void client.invalidateQueries({ queryKey: keys.facets });
}

/** Takes pictures off every list at once; also used before the server has answered a deletion. */
export function removeImages(client: QueryClient, ids: ReadonlySet<string>): void {
  const fresh = [...ids].filter((id) => !gone.has(id));
  // Not when the server's word on these same pictures comes.
  if (fresh.length > 0 && gone.size + fresh.length > KEPT) forgetDeletions();
  for (const id of fresh) gone.add(id);
  eachList(client, (data, key) => {
    const pages = data.pages.map((page) => {
      const items = page.items.filter((image) => !ids.has(image.id));
      const last = page.items.at(-1);
      if (last && page.next_cursor && items.at(-1)?.id !== last.id) {
        for (const image of page.items.slice(items.length ? page.items.indexOf(items[items.length - 1] as ImageOut) + 1 : 0)) ends.set(place(key, image), page.next_cursor);
      }
      return items.length === page.items.length ? page : { ...page, items };
    });
    return recounted({ ...data, pages }, -fresh.length);
  });
  client.setQueriesData<MarksOut[]>({ queryKey: keys.marksLists }, (marks) => marks?.filter(({ id }) => !ids.has(id)));
  void client.invalidateQueries({ queryKey: keys.facets });
  void client.invalidateQueries({ queryKey: keys.collections });
}

/** Puts pictures back where they were. Those that belong to a page that is not read yet come with it. */
export function returnImages(client: QueryClient, images: ImageOut[]): void {
  const ours = new Set(images.filter((image) => gone.delete(image.id)).map((image) => image.id));
  eachList(client, (data, key) => {
    const { pages, placed } = insert(data.pages, images, key);
    const back = new Set([...ours, ...placed.map(({ id }) => id)]);
    return recounted({ ...data, pages }, back.size);
  });
  void client.invalidateQueries({ queryKey: keys.facets });
  void client.invalidateQueries({ queryKey: keys.collections });
}

/**
 * `pages` with each of `images` before the first that is older, in one go however many they are; left out are those that
 * are there already and those that have no place yet. `placed`: the others.
 */
function insert(pages: ImagePage[], images: ImageOut[], key: QueryKey): { pages: ImagePage[]; placed: ImageOut[] } {
  const look = lookOf(key);
  const last = pages.at(-1);
  if (!last) return { pages, placed: [] };
  const fitsEnd = (image: ImageOut) => last.next_cursor === null || last.next_cursor === ends.get(place(key, image));
  const oldest = pages.map(({ items }) => items.at(-1));
  /** The page that it belongs to. Older than all that are here: the last, when nothing follows or when what follows begins after it. */
  const pageOf = (image: ImageOut) => {
    const page = oldest.findIndex((item) => item && comesAfter(item, image, look));
    return page >= 0 ? page : fitsEnd(image) ? pages.length - 1 : null;
  };
  const found = images.flatMap((image) => {
    const page = matches(image, look) ? pageOf(image) : null;
    return page === null ? [] : [{ image, page }];
  });
  if (found.length === 0) return { pages, placed: [] };
  const here = new Set(pages.flatMap(({ items }) => items.map(({ id }) => id)));
  const fresh = found.filter(({ image }) => !here.has(image.id)).sort((one, other) => (comesAfter(one.image, other.image, look) ? 1 : -1));
  const filled = pages.map((page, index) => {
    const more = fresh.filter((one) => one.page === index).map(({ image }) => image);
    if (more.length === 0) return page;
    const items: ImageOut[] = [];
    for (const item of page.items) {
      while (more[0] && comesAfter(item, more[0], look)) items.push(more.shift() as ImageOut);
      items.push(item);
    }
    return { ...page, items: [...items, ...more] };
  });
  return { pages: filled, placed: fresh.map(({ image }) => image) };
}

/** Pictures of one job are published together, in the order of their numbers. */
function older(one: ImageOut, other: ImageOut): boolean {
  const [a, b] = [Date.parse(one.created_at), Date.parse(other.created_at)];
  if (a !== b) return a < b;
  return one.created_at === other.created_at ? one.index < other.index : one.created_at < other.created_at;
}

function comesAfter(one: ImageOut, other: ImageOut, { order }: Look): boolean {
  if (order === "oldest") return older(other, one);
  if (order === "rating" && (one.rating ?? 0) !== (other.rating ?? 0)) return (one.rating ?? 0) < (other.rating ?? 0);
  return older(one, other);
}

const lookOf = (key: QueryKey) => key[2] as Look;

function eachList(client: QueryClient, change: (data: ImagePages, key: QueryKey) => ImagePages): void {
  for (const [key, data] of client.getQueriesData<ImagePages>({ queryKey: keys.galleryLists })) {
    if (data) client.setQueryData<ImagePages>(key, change(data, key));
  }
}

const place = (key: QueryKey, image: ImageOut) => `${JSON.stringify(key[2])}\n${image.id}`;
const counted = (page: ImagePage, more: number): ImagePage => ({ ...page, total: page.total === null ? null : Math.max(0, page.total + more) });
const recounted = (data: ImagePages, more: number): ImagePages => ({ ...data, pages: data.pages.map((page, index) => (index === 0 ? counted(page, more) : page)) });
