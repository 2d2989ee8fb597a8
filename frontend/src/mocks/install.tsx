/** The whole dashboard over the mock API, in memory: what tests of pages render. */
import { render, waitFor } from "@testing-library/react";
import { expect, vi } from "vitest";

import { previews, samples } from "@/api/cache";
import { locked } from "@/api/client";
import { forget } from "@/api/freshest";
import type { ServerFrame } from "@/api/types";
import { App } from "@/app/App";
import { queryClient } from "@/app/services";
import { draftOf, setup } from "@/features/chat/drafts";
import { fresh, settings } from "@/features/generate/settings";
import { clearSource } from "@/features/generate/source";
import { freshTask, taskForm } from "@/features/generate/tasks";
import { shown } from "@/features/generate/useGenerate";
import { setLanguage, startI18n } from "@/i18n";
import { toasts } from "@/lib/toast";

import { MockAtelier, type Scenario } from "./atelier.ts";

class MockSocket {
  static atelier: MockAtelier;
  static open = true;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;
  readyState = 1;
  #leave: (() => void) | undefined;
  constructor() {
    queueMicrotask(() => {
      if (!MockSocket.open) return this.onclose?.({ code: 1006 });
      this.#leave = MockSocket.atelier.connect((frame: ServerFrame) => this.onmessage?.({ data: JSON.stringify(frame) }));
    });
  }
  send(): void {}
  close(): void {
    this.#leave?.();
  }
}

/** Starts Atelier at `path`; waits until the page is there. Steps take no time to speak of. */
export async function open(path: string, scenario: Scenario = {}): Promise<MockAtelier> {
  const atelier = new MockAtelier({ stepMs: 3, ...scenario });
  MockSocket.atelier = atelier;
  MockSocket.open = scenario.sockets ?? true;
  vi.stubGlobal("WebSocket", MockSocket);
  vi.stubGlobal("fetch", (request: Request) => atelier.handle(request));
  // As after opening the page for the first time.
  queryClient.clear();
  forget();
  previews.set(new Map());
  samples.set([]);
  settings.set(fresh);
  clearSource();
  taskForm.set(freshTask);
  shown.set([]);
  draftOf(null).set({ text: "", pictures: [] });
  setup.set({ model: null, beside: null, system_prompt: "", parameters: {} });
  locked.set(false);
  toasts.set([]);
  await startI18n();
  await setLanguage("en");
  window.history.pushState(null, "", path);
  render(<App />);
  await waitFor(() => expect(document.querySelector("main")?.childElementCount).toBeGreaterThan(0), { timeout: 8000 });
  return atelier;
}
