/** The mock's gallery: filters, facets, edits, collections, lineage. */
import type { BulkEditIn, CollectionOut, FacetsOut, ImageEditIn, ImageOut, StorageOut } from "@/api/types";

import type { MockAtelier } from "./atelier.ts";
import { iso } from "./data.ts";

export class MockGallery {
  #atelier: MockAtelier;
  collections: CollectionOut[] = [];
  #next = 1;

  constructor(atelier: MockAtelier) {
    this.#atelier = atelier;
  }

  /** With `lived`: as after some weeks of use. */
  reset(lived: boolean): void {
    this.collections = [];
    if (!lived) return;
    const [best, spare] = [this.#made("Best of November"), this.#made("For the wall")];
    this.#atelier.images = this.#atelier.images.map((image, at) => ({
      ...image, favourite: at % 9 === 2, rating: at % 7 === 3 ? 5 : at % 11 === 4 ? 3 : 0, tags: at % 5 === 0 ? ["animals"] : at % 13 === 0 ? ["print", "blue"] : [],
      collections: at % 10 === 1 ? [best.id] : at % 25 === 7 ? [spare.id] : [], parent_id: at % 12 === 2 ? (this.#atelier.images[at + 3]?.id ?? null) : null,
      ...(at % 6 === 5 ? { model: "landscapes", recipe: { ...image.recipe, model: "landscapes", loras: [{ key: "ink", weight: 0.8 }] } } : {}),
    }));
  }

  #made(name: string): CollectionOut {
    const made = { id: `col_${this.#next++}`, name, count: 0, covers: [], created_at: iso(Date.now()) };
    this.collections.push(made);
    return made;
  }

  list(query: URLSearchParams): ImageOut[] {
    const is = (name: string, value: string | null | undefined) => !query.has(name) || query.get(name) === value;
    const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.#atelier.images.filter((image) => {
      const shape = image.width > image.height ? "landscape" : image.width < image.height ? "portrait" : "square";
      const loras = ((image.recipe.loras ?? []) as { key: string }[]).map((lora) => lora.key);
      return (
        words.every((word) => image.prompt.toLowerCase().includes(word)) && is("model", image.model) && is("aspect", shape) && is("size", `${image.width}x${image.height}`) && is("kind", image.kind ?? "image") && is("parent", image.parent_id) &&
        (!query.has("lora") || loras.includes(query.get("lora") ?? "")) && (!query.has("favourite") || image.favourite === true) && (image.rating ?? 0) >= Number(query.get("rating") ?? 0) && (!query.has("unrated") || !image.rating) &&
        query.getAll("tag").every((tag) => image.tags?.includes(tag)) && (!query.has("collection") || image.collections?.includes(query.get("collection") ?? "") === true) &&
        image.created_at >= (query.get("since") ?? "") && image.created_at < (query.get("until") ?? "9")
      );
    });
    const order = query.get("sort");
    return order === "oldest" ? found.reverse() : order === "rating" ? found.sort((a, b) => (b.rating ?? 0) - (a.rating ?? 0)) : found;
  }

  facets(): FacetsOut {
    const { images } = this.#atelier;
    const count = (names: string[]) => {
      const counts = new Map<string, number>();
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
      return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
    };
    return {
      models: count(images.map((image) => image.model)), tags: count(images.flatMap((image) => image.tags ?? [])), loras: count(images.flatMap((image) => ((image.recipe.loras ?? []) as { key: string }[]).map((lora) => lora.key))),
      sizes: count(images.map((image) => `${image.width}x${image.height}`)).map(({ name, count }) => ({ width: Number(name.split("x")[0]), height: Number(name.split("x")[1]), count })),
      has_favourites: images.some((image) => image.favourite), has_videos: images.some((image) => image.kind === "video"),
    };
  }

  storage(): StorageOut {
    const { images, trash } = this.#atelier;
    const amount = (some: ImageOut[]) => ({ count: some.length, bytes: some.reduce((sum, image) => sum + image.bytes, 0) });
    const by = (name: (image: ImageOut) => string) => [...new Set(images.map(name))].map((each) => ({ name: each, ...amount(images.filter((image) => name(image) === each)) })).sort((a, b) => b.bytes - a.bytes);
    const month = (image: ImageOut) => image.created_at.slice(0, 7);
    return { total: amount(images), by_model: by((image) => image.model), by_month: by(month).sort((a, b) => b.name.localeCompare(a.name)), by_kind: by((image) => image.kind ?? "image"), trash: amount([...trash.values()]), inputs: { count: 3, bytes: 2_400_000 }, unrated_old: amount(images.filter((image) => !image.rating).slice(-20)), old_days: 90, free_bytes: 412 * 1024 ** 3 };
  }

  emptyTrash() {
    const { trash } = this.storage();
    this.#atelier.trash.clear();
    return trash;
  }

  counted(): CollectionOut[] {
    return this.collections.map((one) => {
      const ours = this.#atelier.images.filter((image) => image.collections?.includes(one.id));
      return { ...one, count: ours.length, covers: ours.slice(0, 4).map((image) => image.thumbnail_url) };
    }).sort((a, b) => a.name.localeCompare(b.name));
  }

  lineage(id: string) {
    const { images } = this.#atelier;
    const above: ImageOut[] = [];
    let image = images.find((one) => one.id === id);
    while (image?.parent_id && above.length < 20) {
      const parent: ImageOut | undefined = images.find((one) => one.id === image?.parent_id);
      if (parent) above.push(parent);
      image = parent;
    }
    return { made_from: above, became: images.filter((one) => one.parent_id === id) };
  }

  edit(id: string, change: ImageEditIn): ImageOut | undefined {
    return this.#change([id], (image) => ({ ...image, favourite: change.favourite ?? image.favourite, rating: change.rating ?? image.rating, note: change.note ?? image.note, tags: change.tags ?? image.tags }))[0];
  }

  editMany(body: BulkEditIn) {
    const { ids } = body;
    if (body.delete) for (const id of ids) this.#atelier.removeImage(id);
    else if (body.restore) for (const id of ids) this.#atelier.restoreImage(id);
    else {
      const put = (list: string[] | undefined, add: string[], remove: string[]) => [...new Set([...(list ?? []), ...add])].filter((each) => !remove.includes(each)).sort();
      this.#change(ids, (image) => ({
        ...image, favourite: body.favourite ?? image.favourite, rating: body.rating ?? image.rating, tags: put(image.tags, body.add_tags ?? [], body.remove_tags ?? []),
        collections: put(image.collections, body.add_to ? [body.add_to] : [], body.remove_from ? [body.remove_from] : []),
      }));
      if (body.add_to || body.remove_from) this.#atelier.emit({ type: "collections.changed" });
    }
    return { images: ids.flatMap((id) => this.#atelier.images.find((image) => image.id === id) ?? []), restorable_until: null };
  }

  #change(ids: string[], to: (image: ImageOut) => ImageOut): ImageOut[] {
    const changed = this.#atelier.images.filter((image) => ids.includes(image.id)).map(to);
    this.#atelier.images = this.#atelier.images.map((image) => changed.find((one) => one.id === image.id) ?? image);
    this.#atelier.emit({ type: "images.changed", images: changed });
    return changed;
  }

  /** Makes, renames or deletes; null when it is not there. */
  collection(method: string, id: string, name: string): { status: number; body: CollectionOut } | "taken" | null {
    const found = this.counted().find((one) => one.id === id);
    if (method !== "POST" && !found) return null;
    if (method !== "DELETE" && this.collections.some((one) => one.id !== id && one.name.toLowerCase() === name.trim().toLowerCase())) return "taken";
    if (method === "POST") return { status: 201, body: this.#made(name.trim()) };
    this.collections = method === "DELETE" ? this.collections.filter((one) => one.id !== id) : this.collections.map((one) => (one.id === id ? { ...one, name: name.trim() } : one));
    if (method === "DELETE") this.#change(this.#atelier.images.filter((image) => image.collections?.includes(id)).map((image) => image.id), (image) => ({ ...image, collections: image.collections?.filter((one) => one !== id) }));
    this.#atelier.emit({ type: "collections.changed" });
    return { status: 200, body: { ...(found as CollectionOut), name: method === "PATCH" ? name.trim() : (found as CollectionOut).name } };
  }
}
