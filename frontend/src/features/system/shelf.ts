/** Who holds the memory of a device, as blocks side by side. Sizes in bytes; together never more than the device has. */
import type { DeviceOut, WorkerOut } from "@/api/types";

export interface Block {
  kind: "worker" | "reserved" | "other";
  key: string;
  /** The worker of this block, and its place among those of the device: it has the colour of that place. */
  worker: WorkerOut | null;
  place: number;
  /** How much of the shelf it takes: what is leased, or what is held where that is more. */
  bytes: number;
  /** What is really in use of it; null where nobody says. */
  held: number | null;
}

export interface Shelf {
  blocks: Block[];
  free: number;
  /** Programs that are not ours, largest first. */
  strangers: { name: string; bytes: number | null }[];
  /** The idle worker that would be put out first, when there are others. */
  leavesFirst: WorkerOut | null;
}

/** Which workers lie on this device: "cuda:0", "cuda" or "cpu". */
function onDevice(worker: WorkerOut, device: DeviceOut): boolean {
  return worker.device === `${device.kind}:${device.index}` || (worker.device === device.kind && device.index === 0);
}

/** What a worker really holds, told by the driver for each process of it. Of the machine's own memory nobody can tell cheaply: workers share pages. */
function heldBy(worker: WorkerOut, device: DeviceOut): number | null {
  if (device.kind === "cpu") return null;
  const own = device.processes.filter((process) => process.worker_id === worker.id);
  if (own.length === 0 || own.some((process) => process.bytes === null)) return null;
  return own.reduce((sum, process) => sum + (process.bytes ?? 0), 0);
}

/** How much an idle worker would be missed, as the broker reckons it: what having it back costs, over how long nobody has wanted it. */
function missed(worker: WorkerOut, now: number): number {
  const idle = Math.max(0, (now - Date.parse(worker.idle_since ?? "")) / 1000);
  return (worker.reload_seconds ?? 0) / (1 + idle);
}

/** Who would be put out first to make room: neither the busy nor the pinned, the least important, then the least missed. */
function firstToLeave(workers: readonly WorkerOut[], now: number): WorkerOut | null {
  const idle = workers.filter((worker) => worker.idle_since && !worker.pinned);
  return idle.sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0) || missed(a, now) - missed(b, now))[0] ?? null;
}

export function shelfOf(device: DeviceOut, workers: readonly WorkerOut[], now = Date.now()): Shelf {
  const ours = workers.filter((worker) => onDevice(worker, device) && worker.bytes_leased > 0);
  const blocks: Block[] = ours.map((worker, place) => {
    const held = heldBy(worker, device);
    return { kind: "worker", key: worker.id, worker, place, held, bytes: Math.max(worker.bytes_leased, held ?? 0) };
  });
  const leased = ours.reduce((sum, worker) => sum + worker.bytes_leased, 0);
  if (device.leased_bytes > leased) blocks.push({ kind: "reserved", key: "reserved", worker: null, place: 0, bytes: device.leased_bytes - leased, held: null });
  // Where nobody says what a worker holds, it is taken to hold what it leased.
  const held = blocks.reduce((sum, block) => sum + (block.held ?? block.bytes), 0);
  const other = device.problem ? 0 : Math.max(0, device.used_bytes - held);
  if (other > 0) blocks.push({ kind: "other", key: "other", worker: null, place: 0, bytes: other, held: other });
  const total = Math.max(1, device.total_bytes);
  const wanted = blocks.reduce((sum, block) => sum + block.bytes, 0);
  const shrink = Math.min(1, total / Math.max(1, wanted));
  return {
    blocks: blocks.map((block) => ({ ...block, bytes: block.bytes * shrink })),
    free: Math.max(0, total - wanted),
    strangers: device.processes.filter((process) => process.worker_id === null).map((process) => ({ name: process.name ?? `${process.pid}`, bytes: process.bytes })),
    leavesFirst: ours.length > 1 ? firstToLeave(ours, now) : null,
  };
}
