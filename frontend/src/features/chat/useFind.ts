import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import type { ConversationDetailOut } from "@/api/types";

import { placesOf, readingOf, type Place } from "./finding";
import { branchOf, turnsOf } from "./tree";
import type { Found } from "./useFoundMarks";

const MOST_TAKEN = 100;
const NONE: Place[] = [];

export interface Finding {
  words: string;
  places: readonly Place[];
  at: number;
  /** Counts how often it was asked for: then the focus goes there. */
  asked: number;
  look: (words: string) => void;
  go: (by: 1 | -1) => void;
  close: () => void;
}

interface State { of: string; words: string; at: number; asked: number }

/**
 * Ctrl F in a conversation: a long one has in the page only what is near the window, so the browser would not find the rest.
 * Asked for once more while one types the words, the browser's own search comes.
 */
export function useFind(conversation: ConversationDetailOut | null, beside: ConversationDetailOut | null): { finding: Finding | null; found: Found | null; open: () => void } {
  const [state, setState] = useState<State | null>(null);
  const id = conversation?.id;
  const ours = state && state.of === id ? state : null;
  const words = useDeferredValue(ours?.words ?? "");
  const isOpen = ours !== null;
  const reading = useMemo(() => {
    if (!isOpen || !conversation) return [];
    const shown = (of: ConversationDetailOut) => branchOf(of.messages, of.head_id).filter((message) => message.role !== "tool");
    return readingOf(beside ? turnsOf(shown(conversation), shown(beside)) : shown(conversation).map((message) => ({ left: message, right: null })));
  }, [isOpen, conversation, beside]);
  const places = useMemo(() => (words.trim() ? placesOf(reading, words) : NONE), [reading, words]);
  const at = Math.min(ours?.at ?? 0, Math.max(0, places.length - 1));
  const place = places[at] ?? null;
  const found = useMemo(() => (isOpen ? { words, place } : null), [isOpen, words, place]);
  const latest = useRef(places.length);
  useEffect(() => {
    latest.current = places.length;
  }, [places.length]);

  const open = useCallback(() => {
    if (!id) return;
    const selected = String(window.getSelection() ?? "").trim();
    const taken = selected && selected.length <= MOST_TAKEN && !selected.includes("\n") ? selected : null;
    setState((now) => ({ of: id, words: taken ?? (now?.of === id ? now.words : ""), at: taken === null && now?.of === id ? now.at : 0, asked: (now?.asked ?? 0) + 1 }));
  }, [id]);
  useFindKey(open, id !== undefined);
  const go = (by: 1 | -1) => setState((now) => now && { ...now, at: latest.current ? (Math.min(now.at, latest.current - 1) + by + latest.current) % latest.current : 0 });
  const finding = ours && { words: ours.words, places, at, asked: ours.asked, look: (next: string) => setState({ ...ours, words: next, at: 0 }), go, close: () => setState(null) };
  return { finding, found, open };
}

function useFindKey(open: () => void, active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "f" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector("[role=dialog], [role=menu]") || (event.target as Element | null)?.closest?.("[role=search]")) return;
      event.preventDefault();
      open();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [open, active]);
}
