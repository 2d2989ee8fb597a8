import "@testing-library/jest-dom/vitest";

import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// Without the whole page in every message. What comes late on a busy machine still comes.
configure({ asyncUtilTimeout: 20_000, getElementError: (message) => new Error(message ?? "not found") });

// What jsdom lacks of a browser.
if (typeof window !== "undefined") {
  class Observer {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  }
  Object.assign(globalThis, { ResizeObserver: Observer, IntersectionObserver: Observer });
  Object.defineProperty(window, "matchMedia", {
    value: (query: string) => ({ matches: query.includes("min-width"), media: query, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} }),
  });
  window.scrollTo = () => undefined;
  Element.prototype.scrollIntoView = () => undefined;
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { get: () => 1000, configurable: true });
}

afterEach(() => {
  vi.unstubAllGlobals();
  if (typeof window === "undefined") return;
  cleanup();
  localStorage.clear();
  sessionStorage.clear();
});
