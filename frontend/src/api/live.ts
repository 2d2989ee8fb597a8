/**
 * One socket to /api/live for the whole page.
 *
 *     connecting ──frame──> live ──lost──> reconnecting ──(browser offline)──> offline
 *          ^                                    │ backoff with jitter, ?epoch&since
 *          └────────────────────────────────────┘
 *
 * While the padlock is shut it waits (locked): unlocking calls `restart`.
 *
 * The server answers `resumed` with the missed events, or `snapshot`. A hole in the numbers or a new epoch means that
 * something was missed: the snapshot replaces what is shown.
 */
import type { QueryClient } from "@tanstack/react-query";

import { Signal } from "@/lib/signal";

import { applyEvent, applySnapshot } from "./cache";
import { locked } from "./client";
import type { ServerFrame } from "./types";

export type Connection = "connecting" | "live" | "reconnecting" | "offline" | "locked";

export const connection = new Signal<Connection>("connecting");

const PING = '{"type":"ping"}';
const PING_EVERY = 15_000;
const ANSWER = 4_000;
const SILENCE = 35_000;
const LONGEST_WAIT = 10_000;
const LOCKED = 4401;

/** Milliseconds before try number `attempt` (from 0): doubling, half of it by chance, at most ten seconds. */
export function backoff(attempt: number, random = Math.random()): number {
  const ceiling = Math.min(LONGEST_WAIT, 400 * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random;
}

type MakeSocket = (url: string) => WebSocket;

export class Live {
  #client: QueryClient;
  #make: MakeSocket;
  #socket: WebSocket | null = null;
  #epoch = "";
  #seq = 0;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heard = 0;
  #stopped = true;

  constructor(client: QueryClient, make: MakeSocket = (url) => new WebSocket(url)) {
    this.#client = client;
    this.#make = make;
  }

  start(): void {
    this.#stopped = false;
    window.addEventListener("online", this.#changed);
    window.addEventListener("offline", this.#changed);
    document.addEventListener("visibilitychange", this.#seen);
    this.#watch = setInterval(this.#check, PING_EVERY);
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    window.removeEventListener("online", this.#changed);
    window.removeEventListener("offline", this.#changed);
    document.removeEventListener("visibilitychange", this.#seen);
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    clearTimeout(this.#doubt);
    this.#drop();
  }

  /** Connect again with a full snapshot, e.g. after unlocking. */
  restart(): void {
    this.#epoch = "";
    this.#drop();
    this.#now();
  }

  #connect(): void {
    clearTimeout(this.#retry);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const resume = this.#epoch ? `?epoch=${encodeURIComponent(this.#epoch)}&since=${this.#seq}` : "";
    const socket = this.#make(`${scheme}://${location.host}/api/live${resume}`);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onmessage = (message) => socket === this.#socket && this.#receive(String(message.data));
    socket.onclose = (close) => {
      if (socket !== this.#socket || this.#stopped) return;
      this.#socket = null;
      // A refused handshake looks like any lost one to a script; that the padlock is shut we then know from a 401.
      if (close.code === LOCKED) locked.set(true);
      if (locked.get()) connection.set("locked");
      else this.#later();
    };
  }

  #receive(text: string): void {
    this.#heard = Date.now();
    const frame = JSON.parse(text) as ServerFrame;
    switch (frame.type) {
      case "snapshot":
        this.#epoch = frame.epoch;
        this.#seq = frame.seq;
        applySnapshot(this.#client, frame);
        return this.#up();
      case "resumed":
        return this.#up();
      case "events":
        if (frame.epoch !== this.#epoch) return this.restart();
        if (frame.seq <= this.#seq) return;
        this.#seq = frame.seq;
        for (const event of frame.events) applyEvent(this.#client, event);
        return;
      case "pong":
        return;
      case "error":
        console.warn("live socket:", frame.message);
    }
  }

  #up(): void {
    this.#attempt = 0;
    if (connection.get() === "live") return;
    connection.set("live");
    // What could not be read meanwhile; what could is patched with what was missed.
    void this.#client.refetchQueries({ type: "active", predicate: (query) => query.state.status === "error" });
  }

  #later(): void {
    connection.set(navigator.onLine === false ? "offline" : "reconnecting");
    this.#retry = setTimeout(() => this.#connect(), backoff(this.#attempt++));
    // A server that was gone for long shows as offline; the page keeps what it has.
    if (this.#attempt > 4) connection.set("offline");
  }

  #now = (): void => {
    if (this.#stopped || this.#socket) return;
    this.#attempt = 0;
    this.#connect();
  };

  /** The browser lost the network, or has it again. A server on this machine is not touched by that, one elsewhere may be gone without a word: whether it answers decides. */
  #changed = (): void => {
    const socket = this.#socket;
    if (!socket) return navigator.onLine ? this.#now() : connection.set("offline");
    if (socket.readyState !== 1) return;
    const asked = Date.now();
    socket.send(PING);
    clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => {
      if (socket !== this.#socket || this.#heard >= asked) return;
      this.#drop();
      this.#later();
    }, ANSWER);
  };

  #seen = (): void => {
    if (document.visibilityState !== "visible") return;
    this.#check();
    this.#now();
  };

  /** A link that died without a word (sleep, lost Wi-Fi) is noticed by silence. */
  #check = (): void => {
    const socket = this.#socket;
    if (!socket) return;
    if (Date.now() - this.#heard > SILENCE) {
      this.#drop();
      this.#later();
    } else if (socket.readyState === 1) {
      socket.send(PING);
    }
  };

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
