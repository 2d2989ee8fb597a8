import { useCallback, useEffect, useRef, useState } from "react";

const NEAR = 96;
const left = () => document.documentElement.scrollHeight - window.scrollY - window.innerHeight;

/** Keeps the end of the page in sight while it grows, until its reader scrolls up; then only on demand. */
export function useFollowEnd(key: string | undefined) {
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const toEnd = useCallback(() => {
    following.current = true;
    setAway(false);
    window.scrollTo({ top: document.documentElement.scrollHeight });
  }, []);
  const onGrown = useCallback(() => {
    // After the browser has laid it out.
    requestAnimationFrame(() => {
      if (following.current) window.scrollTo({ top: document.documentElement.scrollHeight });
      else setAway(left() > NEAR);
    });
  }, []);
  useEffect(() => {
    let last = window.scrollY;
    const onScroll = () => {
      const up = window.scrollY < last - 2;
      last = window.scrollY;
      if (left() <= NEAR) following.current = true;
      else if (up) following.current = false;
      setAway(!following.current);
    };
    window.addEventListener("scroll", onScroll, { passive: true });
    return () => window.removeEventListener("scroll", onScroll);
  }, []);
  useEffect(() => {
    following.current = true;
  }, [key]);
  return { away, toEnd, onGrown };
}
