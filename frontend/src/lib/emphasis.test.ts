// @vitest-environment node
import { expect, it } from "vitest";

import { emphasis } from "./emphasis";

/** `|` marks the cursor, or both ends of what is selected. */
function moved(marked: string, more: boolean): string | null {
  const [before = "", inside, after] = marked.split("|");
  const [prompt, start] = [marked.replaceAll("|", ""), before.length];
  const change = emphasis(prompt, start, after === undefined ? start : start + (inside?.length ?? 0), more);
  if (!change) return null;
  const next = prompt.slice(0, change.from) + change.text + prompt.slice(change.to);
  return `${next.slice(0, change.start)}|${next.slice(change.start, change.end)}|${next.slice(change.end)}`;
}

it.each([
  ["a r|ed fox", true, "a (|red|:1.1) fox"],
  ["a r|ed fox", false, "a (|red|:0.9) fox"],
  ["a (|red|:1.1) fox", true, "a (|red|:1.2) fox"],
  ["a (|red|:1.1) fox", false, "a |red| fox"],
  ["a (very re|d:1.25) fox", true, "a (|very red|:1.35) fox"],
  ["a| red fox| runs", true, "a (|red fox|:1.1) runs"],
  ["(a:9.95) f|ox", true, "(a:9.95) (|fox|:1.1)"],
  ["(|a|:9.95)", true, "(|a|:10)"],
  ["un zorro vol|é", true, "un zorro (|volé|:1.1)"],
  ["(a) f|ox", true, "(a) (|fox|:1.1)"],
  ["a , | fox", true, null],
  ["|  | fox", true, null],
])("weighs %j, more: %s", (marked, more, expected) => expect(moved(marked, more)).toBe(expected));
