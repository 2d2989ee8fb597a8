import { uuid } from "@/lib/browser";

/** Gives one key for each thing that is asked for: sent twice, it is made once. What people type is no header, those are Latin-1 and short. */
export function onceEach(): (asked: string) => string {
  const keys = new Map<string, string>();
  return (asked) => {
    const key = keys.get(asked) ?? uuid();
    keys.set(asked, key);
    return key;
  };
}
