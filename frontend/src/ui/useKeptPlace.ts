import { useEffect, type RefObject } from "react";

/** A menu that closes holds the focus for a moment longer. */
const MOST_FRAMES = 60;

/**
 * Whoever is in a list by keyboard stays there: when what has the focus goes, with its row or for another thing in it, the
 * row in that place gets it. `rows`: what takes the focus in each `item`; `there`: whether the list is drawn.
 */
export function useKeptPlace(list: RefObject<HTMLElement | null>, rows: string, there = true, item = "li"): void {
  useEffect(() => {
    const root = list.current;
    if (!root) return;
    let held: Element | null = null;
    let at = 0;
    let frame = 0;
    const onFocus = ({ target }: FocusEvent) => {
      const row = target instanceof Element ? target.closest(item) : null;
      held = row && (target as Element);
      at = row ? [...root.querySelectorAll(item)].indexOf(row) : 0;
    };
    // Who leaves for nothing (a click beside it all) is not brought back; what is removed leaves, too.
    const onLeave = ({ target, relatedTarget }: FocusEvent) => void (relatedTarget === null && queueMicrotask(() => target === held && held?.isConnected && (held = null)));
    const settle = (frames: number) => {
      const now = document.activeElement;
      if (now?.closest("[role=menu]") && frames > 0) frame = requestAnimationFrame(() => settle(frames - 1));
      else {
        held = null;
        const all = root.querySelectorAll(item);
        if (!now || now === document.body) all[Math.min(at, all.length - 1)]?.querySelector<HTMLElement>(rows)?.focus();
      }
    };
    const observer = new MutationObserver(() => {
      if (!held || held.isConnected) return;
      cancelAnimationFrame(frame);
      settle(MOST_FRAMES);
    });
    root.addEventListener("focusin", onFocus);
    root.addEventListener("focusout", onLeave);
    observer.observe(root, { childList: true, subtree: true });
    return () => {
      root.removeEventListener("focusin", onFocus);
      root.removeEventListener("focusout", onLeave);
      observer.disconnect();
      cancelAnimationFrame(frame);
    };
  }, [list, rows, there, item]);
}
