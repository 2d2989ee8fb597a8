import { useEffect, useState } from "react";

/** Letters of Markdown that are drawn within one frame on a slow machine. */
const STEP_LETTERS = 600;

/** How far one step goes: at least one part. */
export function step(blocks: readonly string[], from: number): number {
  let [next, letters] = [from, 0];
  while (next < blocks.length && (next === from || letters + (blocks[next]?.length ?? 0) <= STEP_LETTERS)) letters += blocks[next++]?.length ?? 0;
  return next;
}

/** How many parts of a long text are drawn: more with every moment, so that nothing else waits for it. All of them once it has caught up. */
export function useSteps(blocks: readonly string[]): number {
  const [drawn, setDrawn] = useState(() => step(blocks, 0));
  useEffect(() => {
    if (drawn === Infinity) return;
    const timer = setTimeout(() => setDrawn(drawn >= blocks.length ? Infinity : step(blocks, drawn)));
    return () => clearTimeout(timer);
  }, [blocks, drawn]);
  return drawn;
}
