import type { Locator } from "@playwright/test";

import { accessible, expect, prompt, settled, test } from "./fixtures";

const PAGES = ["/", "/gallery", "/models", "/jobs", "/system"];

test.beforeAll(async ({ server }) => {
  await server.ended(await server.generate("a lantern", { steps: 2 }), 100);
});

test("nothing that axe finds wrong, light and dark", async ({ page }) => {
  for (const path of PAGES) {
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.goto(path);
    await settled(page);
    await accessible(page);
    // Of the rules only these look at colours.
    await page.emulateMedia({ colorScheme: "dark" });
    await expect(page.locator("html")).toHaveAttribute("data-scheme", "dark");
    await accessible(page, ["color-contrast", "link-in-text-block"]);
  }
});

test("the theme follows the system, and remembers a choice", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/");
  const root = page.locator("html");
  await expect(root).toHaveAttribute("data-scheme", "dark");
  await page.getByRole("button", { name: "Theme" }).click();
  await page.getByRole("menuitem", { name: "Light" }).click();
  await expect(root).toHaveAttribute("data-scheme", "light");
  await page.reload();
  await expect(root).toHaveAttribute("data-scheme", "light");
  // Backgrounds are gone where the system chooses all colours: what is chosen still shows.
  await page.emulateMedia({ forcedColors: "active" });
  const count = (name: string) => page.getByRole("radio", { name, exact: true });
  const ground = (one: Locator) => one.evaluate((element) => getComputedStyle(element).backgroundColor);
  await expect(count("1")).toBeChecked();
  expect(await ground(count("1"))).not.toBe(await ground(count("2")));
  expect(await ground(page.getByRole("navigation").getByRole("link", { name: "Generate" }))).toBe(await ground(count("1")));
});

test("three languages", async ({ page }) => {
  await page.goto("/system");
  for (const [language, title] of [["Français", "Système"], ["Español", "Sistema"], ["English", "System"]] as const) {
    await page.locator("header [aria-haspopup=menu]").first().click();
    await page.getByRole("menuitem", { name: language }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(title);
  }
  await page.locator("header [aria-haspopup=menu]").first().click();
  await page.getByRole("menuitem", { name: "Français" }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("lang", "fr");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Système");
});

test("the command palette goes anywhere without a mouse", async ({ page }) => {
  await page.goto("/");
  await expect(prompt(page)).toBeVisible();
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command palette" })).toBeFocused();
  await page.keyboard.type("system");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/system$/);
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command palette" })).toBeFocused();
  await page.keyboard.type("lantern");
  await expect(page.getByRole("option", { name: "a lantern" })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/gallery\/.+/);
});

test("jobs have an address, and Back works", async ({ page }) => {
  await page.goto("/jobs");
  await page.getByRole("link", { name: "a lantern" }).click();
  await expect(page.getByRole("dialog", { name: "Job details" })).toContainText("a lantern");
  await expect(page).toHaveURL(/\/jobs\/.+/);
  await page.goBack();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("the system page shows what there is", async ({ page }) => {
  await page.goto("/system");
  for (const name of ["Devices", "Last minutes", "Workers", "Environments", "Dependencies", "Endpoints"]) await expect(page.getByRole("heading", { name })).toBeVisible();
  await expect(page.getByText("/api/generate/text-to-image")).toBeVisible();
});

test("every key has its line, Esc closes, and the focus returns", async ({ page }) => {
  await page.goto("/");
  await prompt(page).fill("");
  await page.keyboard.type("what?");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(prompt(page)).toHaveValue("what?");
  const generate = page.getByRole("navigation").getByRole("link", { name: "Generate" });
  await generate.focus();
  await page.keyboard.press("?");
  const keys = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await expect(keys).toContainText("Go anywhere, do anything");
  await page.keyboard.press("Escape");
  await expect(keys).toHaveCount(0);
  await expect(generate).toBeFocused();
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command palette" })).toBeFocused();
  await page.keyboard.type("shortcuts");
  await page.keyboard.press("Enter");
  await expect(keys).toBeVisible();
  await keys.getByRole("button", { name: "Close" }).click();
  await expect(keys).toHaveCount(0);
  await expect(generate).toBeFocused();
});

test("what waits and what runs are told apart", async ({ page, server }) => {
  const ids = [await server.generate("a river that runs", { steps: 200, num_outputs: 8 }), await server.generate("a stone that waits", { steps: 199 })]; // what is alike would share one run
  const runs = page.getByRole("link", { name: "a river that runs" });
  const waits = page.getByRole("link", { name: "a stone that waits" });
  const choose = (name: string) => page.getByRole("group", { name: "Show" }).getByRole("link", { name, exact: true }).click();
  await page.goto("/jobs");
  await expect(page.locator("li", { has: runs })).toContainText("Running");
  await choose("Running");
  await expect(runs).toBeVisible();
  await expect(waits).toHaveCount(0);
  await choose("Waiting");
  await expect(waits).toBeVisible();
  await expect(runs).toHaveCount(0);
  await choose("Done");
  await expect(page.getByRole("link", { name: "a lantern" }).first()).toBeVisible();
  await expect(waits).toHaveCount(0);
  for (const id of [...ids].reverse()) await fetch(`${server.url}/api/jobs/${id}`, { method: "DELETE" });
  for (const id of ids) await server.ended(id);
  await choose("Cancelled");
  await expect(waits).toBeVisible();
});

test("the filters of jobs are one line on a phone, the chosen one in view", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/jobs?status=cancelled");
  const chips = page.getByRole("group", { name: "Show" }).getByRole("link");
  await expect(chips.last()).toBeInViewport({ ratio: 1 });
  const tops = await chips.evaluateAll((all) => all.map((chip) => chip.getBoundingClientRect().top));
  expect(new Set(tops).size).toBe(1);
});
