import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { job } from "@/mocks/data";

import { locked } from "./client";
import { keys } from "./keys";
import { backoff, connection, Live } from "./live";
import type { JobOut, ServerFrame } from "./types";

class Socket {
  static made: Socket[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;
  readyState = 1;
  sent: string[] = [];
  constructor(readonly url: string) {
    Socket.made.push(this);
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.readyState = 3;
  }
  says(frame: ServerFrame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  dies(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

const host = { cpu_percent: 1, memory_used_bytes: 1, memory_total_bytes: 2 };
const snapshot = (epoch: string, seq: number, jobs: JobOut[] = []): ServerFrame => ({ type: "snapshot", epoch, seq, jobs, workers: [], environments: [], devices: [], host });
const last = () => Socket.made.at(-1) as Socket;
let live: Live;
let client: QueryClient;

beforeEach(() => {
  vi.useFakeTimers();
  Socket.made = [];
  client = new QueryClient();
  live = new Live(client, (url) => new Socket(url) as unknown as WebSocket);
  live.start();
});
afterEach(() => {
  live.stop();
  locked.set(false);
  vi.useRealTimers();
});

describe("live connection", () => {
  it("is live after the snapshot, and fills the cache", () => {
    last().says(snapshot("e1", 5, [job("a")]));
    expect(connection.get()).toBe("live");
    expect(client.getQueryData<JobOut[]>(keys.recentJobs)).toHaveLength(1);
  });

  it("resumes where it was, and applies nothing twice", () => {
    last().says(snapshot("e1", 5, [job("a", { status: "running" })]));
    last().says({ type: "events", epoch: "e1", seq: 6, events: [{ type: "job.removed", id: "zzz" }] });
    last().dies();
    expect(connection.get()).toBe("reconnecting");
    vi.advanceTimersByTime(1000);
    expect(last().url).toMatch(/\?epoch=e1&since=6$/);
    last().says({ type: "resumed", epoch: "e1", seq: 6 });
    expect(connection.get()).toBe("live");
    last().says({ type: "events", epoch: "e1", seq: 6, events: [{ type: "job.removed", id: "a" }] });
    expect(client.getQueryData<JobOut[]>(keys.recentJobs)).toHaveLength(1);
  });

  it("asks for a new snapshot when the server is another run", () => {
    last().says(snapshot("e1", 5));
    last().says({ type: "events", epoch: "e2", seq: 1, events: [] });
    expect(Socket.made).toHaveLength(2);
    expect(last().url).not.toContain("epoch");
  });

  it("gives up hope, but not trying", () => {
    for (let round = 0; round < 8; round++) {
      last().dies();
      vi.advanceTimersByTime(10_000);
    }
    expect(connection.get()).toBe("offline");
    expect(Socket.made.length).toBeGreaterThan(8);
  });

  it("notices a link that died without a word", () => {
    last().says(snapshot("e1", 5));
    vi.advanceTimersByTime(15_000);
    expect(last().sent).toEqual(['{"type":"ping"}']);
    vi.advanceTimersByTime(46_000);
    expect(Socket.made.length).toBeGreaterThan(1);
  });

  it("asks the server itself when the browser says that the network is gone", () => {
    last().says(snapshot("e1", 5));
    window.dispatchEvent(new Event("offline"));
    expect(last().sent).toEqual(['{"type":"ping"}']);
    vi.advanceTimersByTime(1000);
    last().says({ type: "pong", seq: 5 });
    vi.advanceTimersByTime(9000);
    expect(connection.get()).toBe("live");
    expect(Socket.made).toHaveLength(1);
    window.dispatchEvent(new Event("online"));
    vi.advanceTimersByTime(5000);
    expect(connection.get()).not.toBe("live");
    expect(Socket.made).toHaveLength(2);
  });

  it("reads again what could not be read, once it is back", async () => {
    let reads = 0;
    const read = () => (reads++ ? Promise.resolve("here") : Promise.reject(new Error("away")));
    const observer = new QueryObserver(client, { queryKey: ["odd"], queryFn: read, retry: false });
    const leave = observer.subscribe(() => undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(observer.getCurrentResult().status).toBe("error");
    last().says({ type: "resumed", epoch: "e1", seq: 5 });
    await vi.advanceTimersByTimeAsync(0);
    expect(observer.getCurrentResult().data).toBe("here");
    leave();
  });

  it("opens the padlock when the server wants a token", () => {
    last().dies(4401);
    expect(locked.get()).toBe(true);
  });

  it("waits longer each time, never more than ten seconds, never all at once", () => {
    expect(backoff(0, 0)).toBe(200);
    expect(backoff(0, 1)).toBe(400);
    expect(backoff(50, 1)).toBe(10_000);
    expect(backoff(3, 0.2)).not.toBe(backoff(3, 0.8));
  });
});

it("waits behind the padlock, and connects again once it is open", () => {
  locked.set(true);
  last().dies(1006);
  expect(connection.get()).toBe("locked");
  vi.advanceTimersByTime(60_000);
  expect(Socket.made).toHaveLength(1);
  locked.set(false);
  live.restart();
  expect(Socket.made).toHaveLength(2);
});
