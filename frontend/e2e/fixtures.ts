import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type BrowserContext, type Page } from "@playwright/test";

import { AtelierServer } from "./server";

/** Makes the tab of a worker what it was: nothing stored, allowed, routed or listened to, nothing else open. Its renderer
 *  stays, and with it the compiled scripts: a new one costs twice as much as all else that a page needs. */
async function cleaned(tab: Page): Promise<void> {
  const context = tab.context();
  tab.removeAllListeners();
  await Promise.all(context.pages().map((page) => page !== tab && page.close()));
  await Promise.all([tab, context].map((one) => one.unrouteAll({ behavior: "ignoreErrors" })));
  await Promise.all([context.clearCookies(), context.clearPermissions(), context.setOffline(false), tab.emulateMedia({ colorScheme: null, reducedMotion: "reduce" })]);
  await tab.goto("/favicon.svg"); // of the same origin, with no script that could store anything after this
  await tab.evaluate(() => {
    localStorage.clear();
    sessionStorage.clear();
  });
}

/** One server and one tab per worker; `page` watches for errors that nobody asserted on. */
export const test = base.extend<{ quiet: void }, { studio: string; environment: Record<string, string>; server: AtelierServer; tab: BrowserContext }>({
  /** Files may share a server. One that counts what is there names a studio of its own: `test.use({ studio: "gallery" })`. */
  studio: ["any", { scope: "worker", option: true }],
  /** Variables for the server, for a whole file: `test.use({ environment: {…} })`. */
  environment: [{}, { scope: "worker", option: true }],
  server: [
    async ({ studio, environment }, use) => {
      const server = await AtelierServer.start(studio, environment);
      await use(server);
      await server.remove();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  tab: [
    async ({ browser, server }, use, { project }) => {
      const { viewport, locale } = project.use;
      const context = await browser.newContext({ baseURL: server.url, viewport, locale, reducedMotion: "reduce" });
      await use(context);
      await context.close();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ server }, use) => use(server.url),
  /** What is a phone has a context of its own. */
  context: async ({ context, isMobile, tab }, use) => use(isMobile ? context : tab),
  page: async ({ context, isMobile, viewport }, use) => {
    const page = context.pages()[0] ?? (await context.newPage());
    if (!isMobile && viewport) await page.setViewportSize(viewport);
    await use(page);
    if (!isMobile) await cleaned(page);
  },
  quiet: [
    async ({ page }, use) => {
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => {
        if (/Content Security Policy|Refused to/i.test(message.text())) errors.push(message.text());
      });
      await use();
      expect(errors).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export const prompt = (page: Page) => page.getByLabel("What should it show?");

/** The most common task: type, Ctrl Enter. */
export async function ask(page: Page, words: string): Promise<void> {
  await prompt(page).fill(words);
  await prompt(page).press("Control+Enter");
}

export const run = (page: Page, words: string) => page.getByRole("article", { name: words });

/** Nothing is wider than the window. What changes with the window's width learns of it a frame later. */
export async function fits(page: Page): Promise<void> {
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth), { timeout: 10_000 }).toBeLessThanOrEqual(0);
}

/** Every answer and font has come, nothing moves any more: the page is as it stays. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator("main > *").first()).toBeVisible();
  await expect(page.locator("[data-connection=live]")).toBeVisible();
  await expect(page.locator("[aria-busy=true]")).toHaveCount(0);
  await page.waitForFunction(async () => {
    await document.fonts.ready;
    return document.getAnimations().every(({ playState, effect }) => playState !== "running" || effect?.getComputedTiming().endTime === Infinity);
  });
}

/** axe finds nothing against WCAG 2.1 A and AA in what is on the screen now; `rules` are those to look for, or all. */
export async function accessible(page: Page, rules?: string[]): Promise<void> {
  // Legacy: without a second page for putting the frames' findings together, since there are no frames.
  const axe = new AxeBuilder({ page }).options({ resultTypes: ["violations"] }).setLegacyMode();
  const { violations } = await (rules ? axe.withRules(rules) : axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"])).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
}
