import type { Page } from "@playwright/test";

import { expect, test } from "./fixtures";

// A server of its own, new and empty at the start; scrollbars that take room, as on most desktops.
test.use({ environment: { ATELIER_FAKE_STEP_SECONDS: "0.15" }, launchOptions: async ({ launchOptions }, use) => use({ ...launchOptions, ignoreDefaultArgs: ["--hide-scrollbars"] }) });

const PAGES = ["/", "/gallery", "/models", "/jobs", "/system"];
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } } as const;
/** Half of what anybody would notice; web.dev calls 0.1 good. */
const MOST = 0.01;
/** Milliseconds by which every answer comes late: long enough to come after the first picture of both pages. */
const SLOW = 500;

interface Shift { value: number; hadRecentInput: boolean; sources: { node?: Node; previousRect: DOMRect; currentRect: DOMRect }[] }

/** Opens `path` as for the first time while every answer and font comes late; the sum of everything that jumped, and what it was. */
async function jumps(page: Page, path: string): Promise<{ sum: number; what: string[] }> {
  await page.route(/\/api\/|\.woff2/, async (route) => {
    await new Promise((next) => setTimeout(next, SLOW));
    await route.continue().catch(() => undefined); // The page may be gone by then.
  });
  await page.goto(path);
  await expect(page.locator("[data-connection=live]"), path).toBeVisible();
  await expect(page.locator("[aria-busy=true]"), path).toHaveCount(0);
  await page.waitForTimeout(1500);
  return page.evaluate(
    () =>
      new Promise((done) => {
        const name = (node: Node | undefined) => {
          const element = node instanceof Element ? node : node?.parentElement;
          return element ? `${element.tagName.toLowerCase()} “${(element.textContent ?? "").slice(0, 40)}”` : "something gone";
        };
        new PerformanceObserver((list, observer) => {
          const shifts = (list.getEntries() as unknown as Shift[]).filter((entry) => !entry.hadRecentInput);
          observer.disconnect();
          done({
            sum: shifts.reduce((sum, entry) => sum + entry.value, 0),
            what: shifts.flatMap((entry) => entry.sources.map(({ node, previousRect: from, currentRect: to }) => `${entry.value.toFixed(4)}: ${name(node)} from ${Math.round(from.x)},${Math.round(from.y)} to ${Math.round(to.x)},${Math.round(to.y)}`)),
          });
        }).observe({ type: "layout-shift", buffered: true });
        // Without a single entry the observer says nothing.
        setTimeout(() => done({ sum: 0, what: [] }), 500);
      }),
  );
}

/** One test per page, opened at both sizes at the same time, each as in a browser of its own: most of it is waiting. */
function nothingJumps(state: string, paths: readonly string[]) {
  for (const path of paths) {
    test(`nothing jumps on ${path} of ${state}`, async ({ browser, server }) => {
      await Promise.all(Object.entries(SIZES).map(async ([device, viewport]) => {
        const context = await browser.newContext({ baseURL: server.url, viewport, ...(device === "phone" ? { isMobile: true, hasTouch: true } : {}) });
        const found = await jumps(await context.newPage(), path);
        await context.close();
        console.log(`CLS ${state} ${path} ${device}: ${found.sum.toFixed(4)}`);
        expect.soft(found.sum, [device, ...found.what].join("\n")).toBeLessThan(MOST);
      }));
    });
  }
}

test.describe("a new studio", () => nothingJumps("a new studio", PAGES));

test("a dialog moves nothing beneath it, long page or short", async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 700 });
  for (const path of ["/jobs", "/system"]) {
    await page.goto(path);
    const title = page.getByRole("heading", { level: 1 });
    await title.waitFor();
    await page.evaluate(() => document.fonts.ready.then(() => undefined)); // its letters have another width before
    const before = await title.boundingBox();
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("combobox", { name: "Command palette" })).toBeFocused();
    expect(await page.locator("h1").boundingBox()).toEqual(before);
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
  }
});

test.describe("a studio at work", () => {
  test.beforeAll(async ({ server }) => {
    test.setTimeout(180_000);
    const shapes = [[256, 256], [384, 256], [256, 384]];
    const ids = await Promise.all(Array.from({ length: 9 }, (_, index) => server.generate(`a lighthouse number ${index}`, { num_outputs: 4, steps: 1, width: shapes[index % 3]?.[0], height: shapes[index % 3]?.[1] })));
    for (const id of ids) await server.ended(id, 150);
    await server.ended(await server.generate("a ship fake:fail:out_of_memory", { steps: 2 }));
    await server.generate("a long river", { num_outputs: 8, steps: 200, width: 384, height: 256 });
    await server.generate("a second river, waiting", { steps: 200 });
  });
  nothingJumps("a studio at work", PAGES);
});
