import { describe, expect, it } from "vitest";

import { Attempts } from "./attempts";

describe("the key of a request", () => {
  it("stays while no answer came, so that a lost answer makes no second job", () => {
    const attempts = new Attempts();
    const key = attempts.keyFor({ prompt: "a fox" });
    expect(attempts.keyFor({ prompt: "a fox" })).toBe(key);
    attempts.keyFor({ prompt: "a red fox" });
    expect(attempts.keyFor({ prompt: "a fox" })).toBe(key);
  });

  it("is one that a header can hold, whatever the words and however many", () => {
    const attempts = new Attempts();
    const words = (last: string) => [...Array.from({ length: 40 }, () => "赤い狐"), last];
    expect(attempts.keyFor(words("雪"))).toBe(attempts.keyFor(words("雪")));
    expect(attempts.keyFor(words("雪"))).not.toBe(attempts.keyFor(words("森")));
    expect(new Headers({ "idempotency-key": attempts.keyFor(words("雪")) }).get("idempotency-key")).toMatch(/^[\w-]{1,200}$/);
  });

  it("is another one for another request, and after an answer", () => {
    const attempts = new Attempts();
    const first = attempts.keyFor({ prompt: "a fox" });
    const second = attempts.keyFor({ prompt: "a red fox" });
    attempts.answered();
    const third = attempts.keyFor({ prompt: "a red fox" });
    expect(new Set([first, second, third]).size).toBe(3);
  });
});
