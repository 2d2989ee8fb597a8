// @vitest-environment node
import { QueryClient, type InfiniteData } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { image, job } from "@/mocks/data";

import { applyEvent, applySnapshot, dropImages, previews, restoreImages } from "./cache";
import { forget, freshest } from "./freshest";
import { listJobs } from "./generated/sdk.gen";
import { keys } from "./keys";
import { withoutGone } from "./pictures";
import { queries } from "./queries";
import type { ImageOut, ImagePage, JobOut } from "./types";

// Only when the answer comes is of interest here.
vi.mock("./generated/sdk.gen", async (actual) => ({ ...(await actual<object>()), listJobs: vi.fn() }));

let client: QueryClient;
const recent = () => client.getQueryData<JobOut[]>(keys.recentJobs) ?? [];
const progress = (id: string, step: number, attempt = 1) => applyEvent(client, { type: "job.progress", id, attempt, progress: step / 30, step, total_steps: 30, previews: [{ index: 0, data_url: `data:${step}`, final: false }] });

beforeEach(() => {
  vi.useFakeTimers();
  client = new QueryClient();
  forget();
  applySnapshot(client, { type: "snapshot", epoch: "e", seq: 1, jobs: [job("a", { status: "running", step: 10, progress: 1 / 3 })], workers: [], environments: [], devices: [], host: { cpu_percent: 1, memory_used_bytes: 1, memory_total_bytes: 2 } });
});

afterEach(() => {
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
});

describe("live events in the cache", () => {
  it("moves progress forward only", () => {
    progress("a", 20);
    progress("a", 15);
    expect(recent()[0]?.step).toBe(20);
  });

  it("takes nothing after the end", () => {
    applyEvent(client, { type: "job.changed", job: job("a", { status: "failed", progress: 0.4, error: { code: "x", message: "no", hint: "", log_tail: null } }) });
    progress("a", 29);
    applyEvent(client, { type: "job.changed", job: job("a", { status: "running", progress: 0.9 }) });
    expect(recent()[0]).toMatchObject({ status: "failed", progress: 0.4 });
    expect(previews.get().has("a")).toBe(false);
  });

  it("takes the previews of running jobs from a snapshot", () => {
    const preview = { index: 2, data_url: "data:x", final: true };
    applySnapshot(client, { type: "snapshot", epoch: "e", seq: 1, jobs: [], previews: { b: [preview] }, workers: [], environments: [], devices: [], host: { cpu_percent: 1, memory_used_bytes: 1, memory_total_bytes: 2 } });
    expect(previews.get().get("b")?.get(2)).toEqual(preview);
  });

  it("keeps the last preview after success until the picture has loaded", () => {
    progress("a", 20);
    applyEvent(client, { type: "job.changed", job: job("a", { status: "completed", progress: 1, images: [image(1, { job_id: "a" })] }) });
    expect(previews.get().get("a")?.get(0)?.data_url).toBe("data:20");
  });

  it("a job that begins while the list is asked for is on it", async () => {
    vi.mocked(listJobs).mockImplementation((async () => {
      applyEvent(client, { type: "job.changed", job: job("new", { status: "running" }) });
      return { items: [job("a", { status: "running" })], next_cursor: null };
    }) as unknown as typeof listJobs);
    const jobs = await client.fetchQuery({ ...queries.recentJobs(), staleTime: 0 });
    expect(jobs.map((one) => one.id)).toEqual(["new", "a"]);
  });

  it("an answer asked for before an event does not undo it", () => {
    const asked = performance.now() - 5;
    applyEvent(client, { type: "job.changed", job: job("a", { status: "completed", progress: 1 }) });
    expect(freshest(job("a", { status: "running", progress: 0.5 }), asked).status).toBe("completed");
    expect(freshest(job("a", { status: "queued", attempt: 1 }), performance.now() + 5).status).toBe("queued");
  });

  it("puts new pictures first, once, and takes deleted ones off everywhere", () => {
    client.setQueryData(keys.galleryList({}), { pages: [{ items: [image(1)], next_cursor: null }], pageParams: [undefined] });
    const made = image(2, { id: "new", job_id: "a" });
    applyEvent(client, { type: "images.added", job_id: "a", images: [made] });
    applyEvent(client, { type: "images.added", job_id: "a", images: [made] });
    const ids = () => client.getQueryData<{ pages: { items: ImageOut[] }[] }>(keys.galleryList({}))?.pages.flatMap((page) => page.items.map((item) => item.id));
    expect(ids()).toEqual(["new", "img_000001"]);
    applyEvent(client, { type: "images.removed", ids: ["new"] });
    expect(ids()).toEqual(["img_000001"]);
  });

  describe("deleted and taken back", () => {
    const pages = () => client.getQueryData<InfiniteData<ImagePage>>(keys.galleryList({}))?.pages.map((page) => page.items.map((item) => item.id));
    const total = () => client.getQueryData<InfiniteData<ImagePage>>(keys.galleryList({}))?.pages[0]?.total;
    const [first, second, third, fourth] = [image(0), image(1), image(2), image(3)];
    const removed = (...gone: ImageOut[]) => applyEvent(client, { type: "images.removed", ids: gone.map((each) => each.id) });
    const restored = (...back: ImageOut[]) => applyEvent(client, { type: "images.restored", images: back });
    let asks = 0;

    beforeEach(() => {
      asks = 0;
      const data = { pages: [{ items: [first, second], next_cursor: "c2", total: 9 }, { items: [third, fourth], next_cursor: "c4", total: null }], pageParams: [undefined, "c2"] };
      client.setQueryData(keys.galleryList({}), data);
      client.setQueryData(keys.galleryList({ q: "turtle" }), { pages: [{ items: [third], next_cursor: null, total: null }], pageParams: [undefined] });
      client.getQueryCache().subscribe((event) => (asks += event.type === "updated" && event.action.type === "invalidate" ? 1 : 0));
    });

    it("stands where it stood, in each list, and nothing is asked for again", () => {
      const search = () => client.getQueryData<InfiniteData<ImagePage>>(keys.galleryList({ q: "turtle" }))?.pages[0]?.items;
      removed(third);
      expect([pages(), search(), total()]).toEqual([[[first.id, second.id], [fourth.id]], [], 8]);
      restored(third);
      expect([pages(), search(), total()]).toEqual([[[first.id, second.id], [third.id, fourth.id]], [third], 9]);
      expect(asks).toBe(0);
    });

    it("stays out of the lists of other words", () => {
      removed(first);
      restored(first);
      expect(client.getQueryData<InfiniteData<ImagePage>>(keys.galleryList({ q: "turtle" }))?.pages[0]?.items).toEqual([third]);
    });

    it("is counted once, however often it is said", () => {
      dropImages(client, new Set([second.id]));
      removed(second);
      expect(total()).toBe(8);
      restoreImages(client, [second]);
      restored(second);
      expect([total(), pages()?.flat()]).toEqual([9, [first.id, second.id, third.id, fourth.id]]);
    });

    it("is counted once, also of thousands whose deletion is told in parts", () => {
      client.setQueryData(keys.galleryList({}), { pages: [{ items: [first], next_cursor: "c2", total: 9000 }], pageParams: [undefined] });
      const many = Array.from({ length: 5000 }, (_, number) => `img_far_${number}`);
      dropImages(client, new Set(many));
      for (let at = 0; at < many.length; at += 100) applyEvent(client, { type: "images.removed", ids: many.slice(at, at + 100) });
      expect(total()).toBe(4000);
    });

    it("stays away when a page of before comes after it was taken off", () => {
      const before = client.getQueryData<InfiniteData<ImagePage>>(keys.galleryList({}));
      removed(second);
      const { pages } = withoutGone(undefined, before) as InfiniteData<ImagePage>;
      expect([pages.flatMap((page) => page.items.map(({ id }) => id)), pages[0]?.total]).toEqual([[first.id, third.id, fourth.id], 8]);
    });

    it("comes back as the last of what was read", () => {
      removed(third, fourth);
      restored(fourth);
      restored(third);
      expect(pages()).toEqual([[first.id, second.id], [third.id, fourth.id]]);
    });

    it("comes with its own page when that was not read yet", () => {
      restored(image(7));
      expect([pages()?.flat().length, total()]).toEqual([4, 9]);
    });
  });

  it("asks soon, and once, what is stored when pictures come and go", () => {
    client.setQueryData(keys.storage, {});
    const stale = () => client.getQueryState(keys.storage)?.isInvalidated;
    const asked = vi.spyOn(client, "invalidateQueries");
    applyEvent(client, { type: "images.removed", ids: ["new"] });
    applyEvent(client, { type: "images.restored", images: [image(1)] });
    expect(stale()).toBe(false);
    vi.runAllTimers();
    expect(stale()).toBe(true);
    expect(asked.mock.calls.filter(([filter]) => filter?.queryKey === keys.storage)).toHaveLength(1);
  });

  it("shows a job it has not heard of", () => {
    applyEvent(client, { type: "job.changed", job: job("b") });
    expect(recent().map((item) => item.id)).toEqual(["b", "a"]);
    applyEvent(client, { type: "job.removed", id: "b" });
    expect(recent().map((item) => item.id)).toEqual(["a"]);
  });
});

describe("what people say of pictures", () => {
  it("is changed where they are, taken off and put where they belong now", () => {
    const client = new QueryClient();
    const page = (items: ImageOut[]) => ({ pages: [{ items, next_cursor: null, total: null }], pageParams: [undefined] });
    const ids = (look: object) => client.getQueryData<InfiniteData<ImagePage>>(["gallery", "list", look])?.pages.flatMap((one) => one.items.map((each) => each.id));
    const [first, second, third] = [image(1), image(2, { favourite: true }), image(3)];
    client.setQueryData(keys.galleryList({}), page([first, second, third]));
    client.setQueryData(keys.galleryList({ favourite: true }), page([second]));
    client.setQueryData(keys.image(third.id), third);
    applyEvent(client, { type: "images.changed", images: [{ ...second, favourite: false }, { ...third, favourite: true, note: "x" }] });
    expect(ids({})).toEqual([first.id, second.id, third.id]);
    expect(ids({ favourite: true })).toEqual([third.id]);
    expect(client.getQueryData<ImageOut>(keys.image(third.id))?.note).toBe("x");
  });
});
