/** Following an answer while it grows: server-sent events over `fetch`, taken up again after a lost connection. */
import { locked } from "./client";
import { problemOf } from "./errors";
import type { AnswerFrame } from "./types";

const AGAIN_MS = [500, 1000, 2000, 4000, 8000];

/** Events out of pieces of text that end anywhere. */
export class FrameReader {
  #rest = "";

  feed(piece: string): AnswerFrame[] {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.filter((line) => line.startsWith("data:")).map((line) => JSON.parse(line.slice(5)) as AnswerFrame);
  }
}

/** Calls `heard` with every frame until the answer is done or `signal` aborts. Rejects with what the server refuses. */
export async function followAnswer(conversation: string, message: string, heard: (frame: AnswerFrame) => void, signal: AbortSignal): Promise<void> {
  const url = `${location.origin}/api/chat/conversations/${conversation}/messages/${message}/stream`;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const done = await once(url, (frame) => {
      attempt = 0;
      heard(frame);
    }, signal);
    if (done || signal.aborted) return;
    await new Promise((next) => setTimeout(next, AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)]));
  }
}

/** True when the answer was done; false when the connection was lost before. */
async function once(url: string, heard: (frame: AnswerFrame) => void, signal: AbortSignal): Promise<boolean> {
  let answer: Response;
  try {
    answer = await fetch(new Request(url, { headers: { Accept: "text/event-stream" }, signal }));
  } catch {
    return false;
  }
  if (!answer.ok) {
    const problem = await problemOf(answer);
    if (problem.status === 401) locked.set(true);
    if (problem.status >= 500) return false;
    throw problem;
  }
  const reader = answer.body?.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>).getReader();
  const frames = new FrameReader();
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) return false;
      for (const frame of frames.feed(value ?? "")) {
        heard(frame);
        if (frame.type === "done") return true;
      }
    }
  } catch {
    return false;
  } finally {
    void reader?.cancel().catch(() => undefined);
  }
}
