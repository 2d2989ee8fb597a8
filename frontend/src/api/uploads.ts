/** Sending a picture to work from. `fetch` cannot say how far an upload is, so this one thing does without it. */
import { locked } from "./client";
import { offline, problemOf } from "./errors";
import type { InputOut } from "./types";

interface Options {
  mask?: boolean;
  /** 0..1 of the bytes sent. */
  onProgress?: (share: number) => void;
  signal?: AbortSignal;
}

export function upload(file: Blob, name: string, { mask = false, onProgress, signal }: Options = {}): Promise<InputOut> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/inputs${mask ? "?mask=true" : ""}`);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onerror = () => fail(offline());
    request.onabort = () => fail(new DOMException("cancelled", "AbortError"));
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return done(JSON.parse(request.responseText) as InputOut);
      if (request.status === 401) locked.set(true);
      const headers = { "Content-Type": "application/json", "X-Request-Id": request.getResponseHeader("x-request-id") ?? "" };
      void problemOf(new Response(request.responseText, { status: request.status, headers })).then(fail);
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    form.append("file", file, name);
    request.send(form);
  });
}
