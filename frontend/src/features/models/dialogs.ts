/** Which question about a model is open. One at a time; the page draws it. */
import { Signal } from "@/lib/signal";

export type Question = { kind: "edit" | "load" | "delete" | "token"; key: string };

export const question = new Signal<Question | null>(null);

let opener: { element: Element | null; key: string } | null = null;

/** Asks, and remembers where the focus was: it comes back when the question is answered. */
export function ask(kind: Question["kind"], key: string): void {
  opener = { element: document.activeElement, key };
  question.set({ kind, key });
}

export function answered(): void {
  question.set(null);
  const back = opener;
  opener = null;
  // A menu that led here is gone by now: then the card itself is where to go on.
  requestAnimationFrame(() => {
    if (document.activeElement && document.activeElement !== document.body) return;
    const kept = back?.element instanceof HTMLElement && back.element.isConnected ? back.element : document.querySelector<HTMLElement>(`[data-model="${CSS.escape(back?.key ?? "")}"] [data-card]`);
    kept?.focus();
  });
}
