/** A conversation's messages as a tree: which were said before which, and where branches part. Pure. */

export interface Node { id: string; parent_id: string | null }

/** From the beginning to `head`; nothing where the head is not there. */
export function branchOf<T extends Node>(messages: readonly T[], head: string | null): T[] {
  const known = new Map(messages.map((message) => [message.id, message]));
  const branch: T[] = [];
  for (let at = head; at !== null; ) {
    const message = known.get(at);
    if (!message) break;
    known.delete(at);
    branch.unshift(message);
    at = message.parent_id;
  }
  return branch;
}

/** All that follow the same message, this one among them, in the order in which they were said. */
export const siblingsOf = <T extends Node>(messages: readonly T[], { parent_id }: Node): T[] => messages.filter((other) => other.parent_id === parent_id);

/** The end of the branch that goes on from `id`: at every fork where it was last spoken. */
export function endOf<T extends Node>(messages: readonly T[], id: string): string {
  // Later messages stand later: the last that descends from it is where it was last spoken.
  const inside = new Set([id]);
  let end = id;
  for (const message of messages) {
    if (message.parent_id !== null && inside.has(message.parent_id)) {
      inside.add(message.id);
      end = message.id;
    }
  }
  return end;
}

/** Two branches side by side: what was said to both stands once, across both columns. */
export type Turn<T> = { both: [T, T] } | { left: T | null; right: T | null };

export function turnsOf<T extends Node & { role: string; content: string }>(left: readonly T[], right: readonly T[]): Turn<T>[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, at) => {
    const [one, other] = [left[at] ?? null, right[at] ?? null];
    return one && other && one.role !== "assistant" && one.role === other.role && one.content === other.content ? { both: [one, other] } : { left: one, right: other };
  });
}
