/**
 * Emotion writes into a constructed style sheet instead of <style> elements, so that the page runs under
 * `style-src 'self'` without nonce and without 'unsafe-inline'.
 */
import createCache, { type EmotionCache } from "@emotion/cache";

interface SheetOptions { key: string }

class ConstructedSheet {
  readonly key: string;
  readonly nonce = undefined;
  readonly container = document.head;
  readonly isSpeedy = true;
  before: unknown = null;
  #sheet = new CSSStyleSheet();
  #attached = false;

  constructor({ key }: SheetOptions) {
    this.key = key;
  }

  /** Emotion flushes a sheet that has tags before it writes changed global styles. */
  get tags(): { nextElementSibling: null }[] {
    return this.#sheet.cssRules.length ? [{ nextElementSibling: null }] : [];
  }

  hydrate(): void {}

  insert(rule: string): void {
    if (!this.#attached) {
      this.#attached = true;
      // Global styles come first, whenever they are made, so that components can overrule them.
      const others = document.adoptedStyleSheets;
      document.adoptedStyleSheets = this.key.endsWith("-global") ? [this.#sheet, ...others] : [...others, this.#sheet];
    }
    try {
      this.#sheet.insertRule(rule, this.#sheet.cssRules.length);
    } catch {
      // A selector of another browser (-moz-…) is not for us.
    }
  }

  flush(): void {
    this.#sheet.replaceSync("");
  }
}

export function styleCache(): EmotionCache {
  const cache = createCache({ key: "a" });
  const constructed = "adoptedStyleSheets" in document && "replaceSync" in CSSStyleSheet.prototype;
  if (constructed) cache.sheet = new ConstructedSheet({ key: "a" }) as unknown as EmotionCache["sheet"];
  return cache;
}
