/** Short messages at the foot of the page, some with a button ("Undo"). `ui/Toasts` draws them. */
import { Signal } from "./signal";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "bad";
  seconds: number;
  action?: { label: string; run: () => void };
}

export const toasts = new Signal<Toast[]>([]);
let next = 1;

export function toast(text: string, options: Partial<Omit<Toast, "id" | "text">> = {}): number {
  const id = next++;
  toasts.set((list) => [...list.slice(-2), { id, text, tone: "plain", seconds: 5, ...options }]);
  return id;
}

export function dismiss(id: number): void {
  toasts.set((list) => list.filter((item) => item.id !== id));
}
