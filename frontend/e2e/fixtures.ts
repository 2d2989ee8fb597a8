import { test as base, expect, type Page } from "@playwright/test";

import { AtelierServer } from "./server";

/** One server per worker; `page` watches for errors that nobody asserted on. */
export const test = base.extend<{ quiet: void }, { environment: Record<string, string>; server: AtelierServer }>({
  /** Variables for the server, for a whole file: `test.use({ environment: {…} })`. */
  environment: [{}, { scope: "worker", option: true }],
  server: [
    async ({ environment }, use) => {
      const server = await AtelierServer.start(environment);
      await use(server);
      await server.remove();
    },
    { scope: "worker", timeout: 120_000 },
  ],
  baseURL: async ({ server }, use) => use(server.url),
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

/** Nothing is wider than the window. */
export async function fits(page: Page): Promise<void> {
  expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0);
}
