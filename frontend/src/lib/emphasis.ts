/** Weights in a prompt, moved by keys as in A1111: `red` → `(red:1.1)` → `(red:1.2)`, and back to plain words. Pure. */
export interface Emphasis {
  /** What stands from `from` to `to` is replaced by `text`; then `start` to `end` is selected. */
  from: number;
  to: number;
  text: string;
  start: number;
  end: number;
}

const STEP = 0.1;
const MOST = 10;
const WORD = /[\p{L}\p{N}_'’-]/u;
const WEIGHT = /^:\s*(-?\d+(?:\.\d+)?)\)/;

/** More or less weight for what is selected, or for the word or weighted part that the cursor is in; null where there is neither. */
export function emphasis(prompt: string, start: number, end: number, more: boolean): Emphasis | null {
  const [from, to] = start === end ? around(prompt, start) : trimmed(prompt, start, end);
  if (from === to) return null;
  const words = prompt.slice(from, to);
  const found = prompt[from - 1] === "(" && WEIGHT.exec(prompt.slice(to));
  const was = found ? Number(found[1]) : 1;
  const weight = Math.max(-MOST, Math.min(MOST, Math.round((was + (more ? STEP : -STEP)) * 100) / 100));
  const [begin, stop] = found ? [from - 1, to + found[0].length] : [from, to];
  if (weight === 1) return { from: begin, to: stop, text: words, start: begin, end: begin + words.length };
  return { from: begin, to: stop, text: `(${words}:${weight})`, start: begin + 1, end: begin + 1 + words.length };
}

/** The weighted part that the cursor is in, else the word. */
function around(prompt: string, at: number): [number, number] {
  const open = prompt.lastIndexOf("(", at - 1);
  if (open >= 0 && !prompt.slice(open, at).includes(")")) {
    const inside = /^[^():]*(?=:\s*-?\d+(?:\.\d+)?\))/.exec(prompt.slice(open + 1));
    if (inside && at <= open + 1 + inside[0].length) return [open + 1, open + 1 + inside[0].length];
  }
  let [from, to] = [at, at];
  while (from > 0 && WORD.test(prompt[from - 1] ?? "")) from--;
  while (to < prompt.length && WORD.test(prompt[to] ?? "")) to++;
  return [from, to];
}

function trimmed(prompt: string, start: number, end: number): [number, number] {
  const words = prompt.slice(start, end);
  const lead = words.length - words.trimStart().length;
  return words.trim() ? [start + lead, start + lead + words.trim().length] : [start, start];
}
