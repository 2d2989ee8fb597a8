import { uuid } from "@/lib/browser";

/** The idempotency keys of what is being sent. The same request keeps its key until the server has answered: when the
 * answer was lost on the way, "Try again" finds the job that was accepted instead of making a second one. What people
 * type is no key itself: headers are Latin-1 and short. */
export class Attempts {
  private readonly keys = new Map<string, string>();

  keyFor(request: object): string {
    const text = JSON.stringify(request);
    const key = this.keys.get(text) ?? uuid();
    this.keys.set(text, key);
    return key;
  }

  answered(): void {
    this.keys.clear();
  }
}
