import { uuid } from "@/lib/browser";

/** The idempotency key of what is being sent. The same request keeps its key until the server has answered: when the
 * answer was lost on the way, "Try again" finds the job that was accepted instead of making a second one. */
export class Attempts {
  private last: { request: string; key: string } | null = null;

  keyFor(request: object): string {
    const text = JSON.stringify(request);
    if (this.last?.request !== text) this.last = { request: text, key: uuid() };
    return this.last.key;
  }

  answered(): void {
    this.last = null;
  }
}
