import { useEffect, type RefObject } from "react";

import { patternOf, type Place } from "./finding";

export interface Found { words: string; place: Place | null }

export const MARKS = { all: "chat-found", now: "chat-found-now" } as const;
const BLOCK = "p, li, pre, h1, h2, h3, h4, h5, h6, td, th, blockquote, div";
const HEAD = 170;
const FOOT = 180;
/** A turn far away is drawn a few frames after it was scrolled to. */
const MOST_FRAMES = 40;

/** Marks the words in what is drawn, as browsers do: nothing in the page changes. The place where one stands is scrolled into sight. */
export function useFoundMarks(root: RefObject<HTMLElement | null>, found: Found | null): void {
  const words = found?.words ?? "";
  const place = found?.place ?? null;
  useEffect(() => {
    const element = root.current;
    if (!element || !words.trim()) return;
    let frame = 0;
    let tries = 0;
    let sought = place !== null;
    const draw = () => {
      frame = 0;
      const drawn = [...element.querySelectorAll<HTMLElement>("[data-message]")].map((message) => ({ id: message.dataset.message, ranges: rangesIn(message, words) }));
      const here = place && drawn.find((one) => one.id === place.message);
      const now = here?.ranges[Math.min(place?.nth ?? 0, here.ranges.length - 1)];
      mark(MARKS.all, drawn.flatMap((one) => one.ranges));
      mark(MARKS.now, now ? [now] : []);
      if (!sought) return;
      const box = now?.getBoundingClientRect() ?? (here && element.querySelector(`[data-message="${here.id}"]`)?.getBoundingClientRect());
      if (box && isNear(element, place)) bringIn(box);
      // Rows above it may still be measured: it is held in sight until nothing moves any more.
      if (++tries < MOST_FRAMES) frame = requestAnimationFrame(draw);
      else sought = false;
    };
    const later = () => {
      frame ||= requestAnimationFrame(draw);
    };
    const stay = () => {
      sought = false;
    };
    const observer = new MutationObserver(later);
    observer.observe(element, { childList: true, subtree: true, characterData: true });
    window.addEventListener("wheel", stay, { passive: true });
    window.addEventListener("touchmove", stay, { passive: true });
    later();
    return () => {
      observer.disconnect();
      window.removeEventListener("wheel", stay);
      window.removeEventListener("touchmove", stay);
      cancelAnimationFrame(frame);
      mark(MARKS.all, []);
      mark(MARKS.now, []);
    };
  }, [root, words, place]);
}

/** Of a long conversation only what is near the window is drawn, and its rows are put in their places a moment later. */
function isNear(root: HTMLElement, place: Place | null): boolean {
  const row = root.querySelector(`[data-message="${place?.message}"]`)?.closest("[data-index]")?.getBoundingClientRect();
  return !row || (row.bottom > 0 && row.top < window.innerHeight);
}

function bringIn(box: DOMRect): void {
  const bottom = window.innerHeight - FOOT;
  if (box.top < HEAD || box.bottom > bottom) window.scrollBy({ top: box.top - (HEAD + bottom) / 2 });
}

function mark(name: string, ranges: Range[]): void {
  if (!("highlights" in CSS)) return;
  if (ranges.length) CSS.highlights.set(name, new Highlight(...ranges));
  else CSS.highlights.delete(name);
}

/** Where the words stand in what is written in an element, over the borders of bold and coloured parts. Formulas are left out. */
function rangesIn(element: HTMLElement, words: string): Range[] {
  const pattern = patternOf(words);
  if (!pattern) return [];
  const ranges: Range[] = [];
  for (const part of element.querySelectorAll("[data-words]")) {
    const nodes: { node: Text; start: number }[] = [];
    let text = "";
    let block: Element | null = null;
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
      if (node.parentElement?.closest(".katex, button")) continue;
      const own = node.parentElement?.closest(BLOCK) ?? null;
      if (own !== block) text += "\n";
      block = own;
      nodes.push({ node, start: text.length });
      text += node.data;
    }
    for (const match of text.matchAll(pattern)) {
      const from = at(nodes, match.index);
      const to = at(nodes, match.index + match[0].length - 1);
      if (!from || !to) continue;
      const range = document.createRange();
      range.setStart(from.node, match.index - from.start);
      range.setEnd(to.node, match.index + match[0].length - to.start);
      ranges.push(range);
    }
  }
  return ranges;
}

/** The node that holds this letter. */
const at = (nodes: readonly { node: Text; start: number }[], letter: number) => nodes.findLast(({ node, start }) => start <= letter && letter < start + node.data.length);
