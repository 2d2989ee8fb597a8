/** The picture that is worked from, and the mask painted over it. Lives outside the page, like the form. */
import { asProblem, type ApiProblem } from "@/api/errors";
import type { ImageOut, InputOut } from "@/api/types";
import { upload } from "@/api/uploads";
import { NO_GROWTH } from "@/lib/frame";
import { blank, covered, Steps, type Mask } from "@/lib/mask";
import { Signal } from "@/lib/signal";

import { maskFile, readMask } from "./maskFile";
import { change, settings } from "./settings";
import { changeTask } from "./tasks";
import { forget, readBack } from "./told";

export interface Source {
  /** What the server calls it: `img_…` of the gallery, `inp_…` of an upload; null until it is there. */
  id: string | null;
  name: string;
  /** To look at: of the server, or of the file while only this browser has it. */
  url: string;
  /** Where the server keeps it. */
  kept: string | null;
  width: number;
  height: number;
  /** Of the gallery: what made it. */
  image: ImageOut | null;
  /** 0..1 while it is being sent. */
  progress: number | null;
  problem: ApiProblem | null;
}

/** Why a file is not taken, before anything is sent. */
export type Refusal = { key: "task.refused.kind" | "task.refused.unreadable"; name: string } | { key: "task.refused.large"; name: string; bytes: number; most: number } | { key: "task.refused.pixels"; name: string; count: number; most: number };

export interface Painting { mask: Mask; steps: Steps; /** Counts changes, so that React sees them. */ version: number; /** The upload of this very version. */ id: string | null }

// The server's own limits: what is over them need not be sent to find out.
export const KINDS = ["image/png", "image/jpeg", "image/webp"];
export const MOST_BYTES = 25 * 1024 ** 2;
const MOST_PIXELS = 50_000_000;

export const source = new Signal<Source | null>(remembered());
export const refusal = new Signal<Refusal | null>(null);
export const painting = new Signal<Painting | null>(null);
source.subscribe(remember);

let sending: { file: File; abort: AbortController; done: Promise<void> } | null = null;

/** What the server knows comes back after a reload; a file that was only here does not. */
function remember(): void {
  const now = source.get();
  try {
    if (now?.id && now.kept) sessionStorage.setItem("atelier.source", JSON.stringify({ ...now, url: now.kept }));
    else sessionStorage.removeItem("atelier.source");
  } catch {
    // Without storage it stays as long as the page.
  }
}

function remembered(): Source | null {
  try {
    return JSON.parse(sessionStorage.getItem("atelier.source") ?? "null") as Source | null;
  } catch {
    return null;
  }
}

function replace(next: Source | null): void {
  const old = source.get();
  sending?.abort.abort();
  sending = null;
  refusal.set(null);
  forget();
  painting.set(null);
  changeTask({ growth: NO_GROWTH });
  source.set(next);
  if (old?.url.startsWith("blob:")) URL.revokeObjectURL(old.url);
}

export const clearSource = () => replace(null);

/** A picture of the gallery: the server has it already. Its words come along where there are none. */
export function takeImage(image: ImageOut): void {
  if (settings.get().prompt.trim() === "") change({ prompt: image.prompt });
  // The result follows its shape until another is chosen.
  change({ width: null, height: null });
  replace({ id: image.id, name: image.prompt, url: image.url, kept: image.url, width: image.width, height: image.height, image, progress: null, problem: null });
}

/** An upload from before. */
export function takeInput({ id, url, width, height }: InputOut): void {
  replace({ id, name: id, url, kept: url, width, height, image: null, progress: null, problem: null });
}

/** A file of this machine: looked at here, then sent. False when it is refused; what was there stays. */
export async function takeFile(file: File): Promise<boolean> {
  refusal.set(null);
  const refuse = (why: Refusal) => {
    refusal.set(why);
    return false;
  };
  if (!KINDS.includes(file.type)) return refuse({ key: "task.refused.kind", name: file.name });
  if (file.size > MOST_BYTES) return refuse({ key: "task.refused.large", name: file.name, bytes: file.size, most: MOST_BYTES });
  const url = URL.createObjectURL(file);
  const size = await sizeOf(url);
  if (!size) {
    URL.revokeObjectURL(url);
    return refuse({ key: "task.refused.unreadable", name: file.name });
  }
  if (size.width * size.height > MOST_PIXELS) {
    URL.revokeObjectURL(url);
    return refuse({ key: "task.refused.pixels", name: file.name, count: size.width * size.height, most: MOST_PIXELS });
  }
  change({ width: null, height: null });
  replace({ id: null, name: file.name, url, kept: null, ...size, image: null, progress: 0, problem: null });
  send(file);
  void readBack(file);
  return true;
}

/** Sends it once more, after that failed. */
export const sendAgain = () => sending && send(sending.file);

/** What the server calls the picture, once it is there; null when it could not be sent (`problem` says why). */
export async function sentImage(): Promise<string | null> {
  await sending?.done;
  return source.get()?.id ?? null;
}

function send(file: File): void {
  const abort = new AbortController();
  sending = { file, abort, done: transfer(file, abort.signal, (change) => sending?.abort === abort && source.set((now) => now && { ...now, ...change })) };
}

async function transfer(file: File, signal: AbortSignal, patch: (change: Partial<Source>) => unknown): Promise<void> {
  await Promise.resolve(); // `sending` is this one by now
  patch({ progress: 0, problem: null });
  try {
    const { id, width, height, url } = await upload(file, file.name, { onProgress: (progress) => patch({ progress }), signal });
    patch({ id, width, height, kept: url, progress: null });
  } catch (error) {
    if (!signal.aborted) patch({ progress: null, problem: asProblem(error) });
  }
}

function sizeOf(url: string): Promise<{ width: number; height: number } | null> {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => done({ width: image.naturalWidth, height: image.naturalHeight });
    image.onerror = () => done(null);
    image.src = url;
  });
}

/** The mask of this picture; an empty one when there was none. */
export function paintingOf(picture: Source): Painting {
  const known = painting.get();
  if (known) return known;
  const mask = blank(picture.width, picture.height);
  const made = { mask, steps: new Steps(mask), version: 0, id: null };
  painting.set(made);
  return made;
}

/** A mask that the server has, of the picture that is here now; without one where it is gone. */
export async function takeMask(id: string, inverted = false): Promise<void> {
  const picture = source.get();
  const mask = picture && (await readMask(`/api/inputs/${id}/file`, picture, inverted));
  if (mask && source.get() === picture) painting.set({ mask, steps: new Steps(mask), version: 0, id: inverted ? null : id });
}

/** The mask is another one now. */
export const painted = () => painting.set((now) => now && { ...now, version: now.version + 1, id: null });

export const isEmpty = (now: Painting | null) => !now || covered(now.mask) === 0;

/** The mask as the server knows it; sent when this version of it was not yet. */
export async function maskId(): Promise<string> {
  const now = painting.get();
  if (!now) throw new Error("there is no mask");
  if (now.id) return now.id;
  const { id } = await upload(await maskFile(now.mask), "mask.png", { mask: true });
  painting.set((later) => (later && later.version === now.version ? { ...later, id } : later));
  return id;
}
