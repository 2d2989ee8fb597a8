/** What models write as Markdown, made ready to be drawn. Pure. */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/** Calls `change` with every stretch of lines that is not inside a fenced block of code. */
function outsideFences(text: string, change: (words: string) => string): string {
  const out: string[] = [];
  let open: string | null = null;
  let words: string[] = [];
  const flush = () => {
    if (words.length) out.push(change(words.join("\n")));
    words = [];
  };
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1];
    if (open === null && mark) {
      flush();
      open = mark;
      out.push(line);
    } else if (open !== null) {
      out.push(line);
      if (mark && mark[0] === open[0] && mark.length >= open.length && line.trim() === mark) open = null;
    } else words.push(line);
  }
  flush();
  return out.join("\n");
}

/**
 * Formulas in the one spelling that remark-math is told to take, `$$…$$`: models also write `\(…\)`, `\[…\]` and `$…$`.
 * A single dollar begins a formula as in Pandoc: no space after it, none before its end, no digit behind it, so that
 * prices stay prices.
 */
export function withMath(text: string): string {
  if (!/[$]|\\[[(]/.test(text)) return text;
  return outsideFences(text, (words) =>
    words
      .split(/(`+[^`]*`+)/)
      .map((part, index) => (index % 2 ? part : mathed(part)))
      .join(""),
  );
}

function mathed(words: string): string {
  return words
    .replace(/\\\[([\s\S]+?)\\\]/g, (_, inner: string) => `\n$$\n${inner.trim()}\n$$\n`)
    .replace(/\\\(([\s\S]+?)\\\)/g, (_, inner: string) => `$$${inner.trim()}$$`)
    .replace(/^[ \t]*\$\$([^$\n]+)\$\$[ \t]*$/gm, (_, inner: string) => `$$\n${inner.trim()}\n$$`)
    .replace(/(^|[^$\\\w])\$(?=[^\s$])((?:[^$\n\\]|\\.)*?[^\s$\\])\$(?![\d$])/g, (_, before: string, inner: string) => `${before}$$${inner}$$`);
}

/** Whether it has links or notes that are named in another place of it. */
export const refersElsewhere = (text: string) => /^ {0,3}\[[^\]\n]+\]:/m.test(text);

/**
 * The parts of a text that is still growing: all but the last stay as they are, so that only that one is drawn again.
 * Parts end at empty lines outside of code and formulas, where no list goes on.
 */
export function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  let math = false;
  let empty = false;
  for (const line of text.split("\n")) {
    if (empty && fence === null && !math && line.trim() !== "" && !/^(\s|[-*+>]\s|\d+[.)]\s)/.test(line)) {
      blocks.push(lines.join("\n"));
      lines = [];
    }
    const mark = FENCE.exec(line)?.[1];
    if (fence === null && mark) fence = mark;
    else if (fence !== null && mark && mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = null;
    if (fence === null && line.trim() === "$$") math = !math;
    empty = line.trim() === "";
    lines.push(line);
  }
  blocks.push(lines.join("\n"));
  return blocks;
}
