import { useCallback, useEffect, useRef, useState } from "react";

const NEAR = 96;
/** A scroll that comes so soon after a wheel, a finger or a key is the reader's. */
const HAND_MS = 800;
const HANDS = ["wheel", "touchmove", "pointerdown", "keydown"] as const;
const left = () => document.documentElement.scrollHeight - window.scrollY - window.innerHeight;
const goToEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

/** Keeps the end of the page in sight while its content grows, until its reader scrolls up; then only on demand. */
export function useFollowEnd(key: string | undefined) {
  const following = useRef(true);
  /** When the reader last had a hand in it. */
  const hand = useRef(-HAND_MS);
  const [away, setAway] = useState(false);
  const toEnd = useCallback(() => {
    following.current = true;
    // The click that wants the end is no scroll upwards: what is met on the way there may be lower than was guessed.
    hand.current = -HAND_MS;
    setAway(false);
    goToEnd();
  }, []);
  /** The element whose growth is followed: more of an answer, pictures and formulas that have come, folds that open. */
  const content = useCallback((element: HTMLElement | null) => {
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (following.current) goToEnd();
      else setAway(left() > NEAR);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    let last = window.scrollY;
    let height = document.documentElement.scrollHeight;
    const onHand = () => {
      hand.current = performance.now();
    };
    const onScroll = () => {
      // What scrolls because something above changed its height is nobody's wish.
      const moved = height === document.documentElement.scrollHeight || performance.now() - hand.current < HAND_MS;
      const up = moved && window.scrollY < last - 2;
      last = window.scrollY;
      height = document.documentElement.scrollHeight;
      if (left() <= NEAR) following.current = true;
      else if (up) following.current = false;
      setAway(!following.current);
    };
    window.addEventListener("scroll", onScroll, { passive: true });
    for (const name of HANDS) window.addEventListener(name, onHand, { passive: true, capture: true });
    return () => {
      window.removeEventListener("scroll", onScroll);
      for (const name of HANDS) window.removeEventListener(name, onHand, { capture: true });
    };
  }, []);
  useEffect(() => {
    following.current = true;
  }, [key]);
  return { away, toEnd, content };
}
