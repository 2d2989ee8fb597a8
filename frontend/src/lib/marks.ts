/** What its owner says of a picture. */

export interface Marked {
  favourite?: boolean;
  rating?: number;
  tags?: string[];
  collections?: string[];
}

/** One change to many pictures, as the server takes it. */
export interface MarkChange {
  favourite?: boolean;
  rating?: number;
  add_tags?: string[];
  remove_tags?: string[];
  add_to?: string;
  remove_from?: string;
}

/** The picture as it will be: shown before the server has answered. */
export function applied<T extends Marked>(image: T, change: MarkChange): T {
  const changed = (list: string[] | undefined, add: string[], remove: string[]) => [...new Set([...(list ?? []), ...add])].filter((each) => !remove.includes(each)).sort();
  return {
    ...image,
    favourite: change.favourite ?? image.favourite,
    rating: change.rating ?? image.rating,
    tags: changed(image.tags, change.add_tags ?? [], change.remove_tags ?? []),
    collections: changed(image.collections, change.add_to ? [change.add_to] : [], change.remove_from ? [change.remove_from] : []),
  };
}

/** Tags as the server keeps them: one line, single spaces, small letters. */
export const plainTag = (words: string) => words.split(/\s+/).filter(Boolean).join(" ").toLowerCase().slice(0, 40);

/** For each value how many of the lists hold it, most first: what is on all of them, and on some. */
export function shared(lists: readonly string[][]): [string, number][] {
  const counts = new Map<string, number>();
  for (const list of lists) for (const each of list) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
