/** Sending files. `fetch` cannot say how far an upload is, so this one thing does without it. */
import { locked } from "./client";
import { offline, problemOf } from "./errors";
import type { FileObject, InputOut } from "./types";

interface Progress {
  /** 0..1 of the bytes sent. */
  onProgress?: (share: number) => void;
  signal?: AbortSignal;
}

/** A picture to work from. */
export function upload(file: Blob, name: string, { mask = false, ...more }: Progress & { mask?: boolean } = {}): Promise<InputOut> {
  return send(`/api/inputs${mask ? "?mask=true" : ""}`, file, name, {}, more);
}

/** A file of requests, for a batch. */
export function uploadBatch(file: Blob, name: string, more: Progress = {}): Promise<FileObject> {
  return send("/v1/files", file, name, { purpose: "batch" }, more);
}

function send<T>(path: string, file: Blob, name: string, fields: Record<string, string>, { onProgress, signal }: Progress): Promise<T> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onerror = () => fail(offline());
    request.onabort = () => fail(new DOMException("cancelled", "AbortError"));
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return done(JSON.parse(request.responseText) as T);
      if (request.status === 401) locked.set(true);
      const headers = { "Content-Type": "application/json", "X-Request-Id": request.getResponseHeader("x-request-id") ?? "" };
      void problemOf(new Response(request.responseText, { status: request.status, headers })).then(fail);
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    form.append("file", file, name);
    request.send(form);
  });
}
