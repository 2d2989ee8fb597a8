/** Small things browsers do differently on plain http than on https: ids, clipboard, storage, downloads. */

/** A random UUID, also where `crypto.randomUUID` is missing (plain http on another machine). */
export function uuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** Puts `text` on the clipboard; true when it worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard API on plain http: the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const copied = document.execCommand?.("copy") ?? false;
    area.remove();
    return copied;
  }
}

export function download(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

export function stored<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`atelier.${key}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function store(key: string, value: unknown): void {
  try {
    localStorage.setItem(`atelier.${key}`, JSON.stringify(value));
  } catch {
    // Full or switched off: the setting lasts as long as the page.
  }
}

export const isMac = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.userAgent);

/** Fingers instead of a mouse: there is most likely no keyboard either. */
export const COARSE = "(pointer: coarse)";

/** Puts `text` in the place of what stands from `from` to `to`, as if it were typed: it can be undone. */
export function typeInto(field: HTMLTextAreaElement, from: number, to: number, text: string): void {
  field.setSelectionRange(from, to);
  if (document.execCommand?.("insertText", false, text)) return;
  // React hears of a value through the setter that it has not put its own before.
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(field, field.value.slice(0, from) + text + field.value.slice(to));
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
