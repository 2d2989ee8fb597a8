import { useEffect, useLayoutEffect, useRef, useState } from "react";

/** The share of the time that drawing a growing text may take. */
const SHARE = 0.1;

/**
 * A growing text, as often as it can be drawn without hurry: after a draw that took long the next one waits longer, so
 * that a long block (code, a table) costs no more for each of its tokens than a short one. What has ended is shown at once.
 */
export function usePaced(text: string, growing: boolean): string {
  const [shown, setShown] = useState(text);
  const draw = useRef({ begun: 0, ended: 0 });
  useLayoutEffect(() => {
    draw.current.ended = performance.now();
  }, [shown]);
  useEffect(() => {
    if (!growing || text === shown) return;
    const { begun, ended } = draw.current;
    const next = begun ? ended + (ended - begun) / SHARE : 0;
    const timer = setTimeout(() => {
      draw.current.begun = performance.now();
      setShown(text);
    }, Math.max(0, next - performance.now()));
    return () => clearTimeout(timer);
  }, [text, shown, growing]);
  return growing ? shown : text;
}
