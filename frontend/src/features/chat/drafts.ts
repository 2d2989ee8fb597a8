/** What is being written, and what a new conversation would begin with. Lives outside the page: leaving it loses nothing. */
import { asProblem, type ApiProblem } from "@/api/errors";
import { getImage } from "@/api/generated/sdk.gen";
import type { ChatParameters } from "@/api/types";
import { upload } from "@/api/uploads";
import { store, stored, uuid } from "@/lib/browser";
import { Signal } from "@/lib/signal";

import { fitted, type Size } from "./scaling";

export interface Attached {
  key: string;
  /** What the server calls it; null until it is there. */
  id: string | null;
  name: string;
  url: string;
  problem: ApiProblem | null;
  /** Width and height of a picture that was made smaller: before, and as it is sent. */
  scaled?: { from: Size; to: Size } | null;
}

export interface Draft { text: string; pictures: Attached[] }

export interface Setup { model: string | null; beside: string | null; system_prompt: string; parameters: ChatParameters }

export const MOST_PICTURES = 8;
export const MOST_LETTERS = 200_000;
const KINDS = ["image/png", "image/jpeg", "image/webp"];
const NEW = "new";
const empty: Draft = { text: "", pictures: [] };

const drafts = new Map<string, Signal<Draft>>();

/** The draft of a conversation; of the one that is not there yet, with null. */
export function draftOf(conversation: string | null): Signal<Draft> {
  const key = conversation ?? NEW;
  let draft = drafts.get(key);
  if (!draft) {
    const kept = stored<Record<string, string>>("chat.drafts", {})[key];
    draft = new Signal<Draft>({ ...empty, text: kept ?? "" });
    drafts.set(key, draft);
    const ours = draft;
    ours.subscribe(() => keepSoon(key, ours));
  }
  return draft;
}

const KEEP_MS = 400;
const unkept = new Map<string, Signal<Draft>>();
let keeping: ReturnType<typeof setTimeout> | undefined;

/** All drafts are one entry, which is too much to write with every key. */
function keepSoon(key: string, draft: Signal<Draft>): void {
  unkept.set(key, draft);
  keeping ??= setTimeout(keepAll, KEEP_MS);
}

function keepAll(): void {
  clearTimeout(keeping);
  keeping = undefined;
  for (const [key, draft] of unkept) keep(key, draft.get().text);
  unkept.clear();
}

if (typeof window !== "undefined") window.addEventListener("pagehide", keepAll);

function keep(key: string, text: string): void {
  const others = Object.entries(stored<Record<string, string>>("chat.drafts", {})).filter(([name]) => name !== key);
  store("chat.drafts", Object.fromEntries(text.trim() ? [...others.slice(-50), [key, text.slice(0, 20_000)]] : others));
}

export const write = (draft: Signal<Draft>, text: string) => draft.set((now) => ({ ...now, text }));
/** The same words and pictures, however far these have been sent meanwhile. */
export const isSame = (one: Draft, other: Draft) => one.text === other.text && one.pictures.map(({ key }) => key).join() === other.pictures.map(({ key }) => key).join();
export const detach = (draft: Signal<Draft>, key: string) => draft.set((now) => ({ ...now, pictures: now.pictures.filter((one) => one.key !== key) }));

/** Takes away what has been said; what was written and attached meanwhile stays, or goes on in the conversation that has begun with it. */
export function clearSaid(draft: Signal<Draft>, said: Draft, next: Signal<Draft> = draft): void {
  for (const { url } of said.pictures) if (url.startsWith("blob:")) URL.revokeObjectURL(url);
  const { text, pictures } = draft.get();
  draft.set(empty);
  next.set({
    text: text.startsWith(said.text) ? text.slice(said.text.length).trimStart() : text,
    pictures: pictures.filter((one) => !said.pictures.some((other) => other.key === one.key)),
  });
}

/** A picture of the gallery, or an upload from before: the server has it. */
export function attachKnown(draft: Signal<Draft>, id: string): void {
  if (draft.get().pictures.some((one) => one.id === id)) return;
  draft.set((now) => ({ ...now, pictures: [...now.pictures, { key: uuid(), id, name: "", url: pictureUrl(id, true), problem: null }].slice(0, MOST_PICTURES) }));
}

/** By its id: checked with the server, so that one that is gone is not attached. */
export async function attachOfGallery(draft: Signal<Draft>, id: string): Promise<void> {
  const image = await getImage({ path: { image_id: id } }).catch(() => null);
  if (image && image.kind !== "video") attachKnown(draft, image.id);
}

const sending = new Map<string, Promise<unknown>>();

/** The ids of the pictures, once all have been sent. Throws what the server says of one that it does not take. */
export async function attached(draft: Signal<Draft>): Promise<string[]> {
  await Promise.all(draft.get().pictures.map((one) => sending.get(one.key)));
  const { pictures } = draft.get();
  for (const { problem } of pictures) if (problem) throw problem;
  return pictures.flatMap((one) => one.id ?? []);
}

/** The draft that has a picture now: it may have been taken to another conversation while it was sent. */
const holderOf = (draft: Signal<Draft>, key: string) => [draft, ...drafts.values()].find((one) => one.get().pictures.some((picture) => picture.key === key)) ?? draft;

async function send(file: File, change: (patch: Partial<Attached>) => void): Promise<void> {
  const { file: small, from, to } = await fitted(file);
  if (from && to) change({ scaled: { from, to } });
  const { id } = await upload(small, file.name);
  change({ id });
}

/** Files of this machine: shown at once, then sent. False when one of them is no picture that can be taken. */
export function attachFiles(draft: Signal<Draft>, files: readonly File[]): boolean {
  const room = MOST_PICTURES - draft.get().pictures.length;
  const taken = files.filter((file) => KINDS.includes(file.type)).slice(0, Math.max(0, room));
  for (const file of taken) {
    const key = uuid();
    draft.set((now) => ({ ...now, pictures: [...now.pictures, { key, id: null, name: file.name, url: URL.createObjectURL(file), problem: null }] }));
    const change = (patch: Partial<Attached>) => holderOf(draft, key).set((now) => ({ ...now, pictures: now.pictures.map((one) => (one.key === key ? { ...one, ...patch } : one)) }));
    const done = send(file, change).catch((error: unknown) => change({ problem: asProblem(error) }));
    sending.set(key, done.finally(() => sending.delete(key)));
  }
  return taken.length === files.length;
}

/** What is being changed of earlier questions, by their ids: it outlives the part of the page that shows it. */
export const edits = new Signal<Readonly<Record<string, string>>>({});

export const edit = (message: string, text: string) => edits.set((now) => ({ ...now, [message]: text }));
export const endEdit = (message: string) => edits.set(({ [message]: _, ...others }) => others);

export const accepts = KINDS.join(",");

/** Where a picture of a message is looked at; small, where the server has it small. */
export const pictureUrl = (id: string, small = false) => (id.startsWith("img_") ? `/api/gallery/${id}/${small ? "thumbnail" : "file"}` : `/api/inputs/${id}/file`);

export const setup = new Signal<Setup>({ model: null, beside: null, system_prompt: "", parameters: {}, ...stored<Partial<Setup>>("chat.setup", {}) });
setup.subscribe(() => store("chat.setup", { ...setup.get(), beside: null }));
