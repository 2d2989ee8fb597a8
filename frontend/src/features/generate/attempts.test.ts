import { describe, expect, it } from "vitest";

import { Attempts } from "./attempts";

describe("the key of a request", () => {
  it("stays while no answer came, so that a lost answer makes no second job", () => {
    const attempts = new Attempts();
    const key = attempts.keyFor({ prompt: "a fox" });
    expect(attempts.keyFor({ prompt: "a fox" })).toBe(key);
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
