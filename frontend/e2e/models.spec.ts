import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import type { Locator, Page } from "@playwright/test";

import { expect, fits, prompt, run, settled, test as base } from "./fixtures";

interface Hub { endpoint: string; folder: string; bytesPerSecond: (speed: number) => void }

/** A server of its own that downloads from a small hub on loopback. */
const test = base.extend<object, { hub: Hub }>({
  hub: [
    async ({}, use) => {
      const folder = await mkdtemp(join(tmpdir(), "atelier-hub-"));
      const script = join(dirname(fileURLToPath(import.meta.url)), "hub.py");
      const child = spawn(process.env.ATELIER_PYTHON ?? "python3", [script, join(folder, "paint")], { stdio: ["pipe", "pipe", "inherit"] });
      const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
      await use({ ...(JSON.parse(String(value)) as Hub), bytesPerSecond: (speed) => child.stdin.write(`${speed}\n`) });
      child.stdin.end();
      await new Promise((done) => child.once("exit", done));
      await rm(folder, { recursive: true, force: true });
    },
    { scope: "worker" },
  ],
  environment: [async ({ hub }, use) => use({ HF_ENDPOINT: hub.endpoint, MODEL_CACHE_DIR: join(dirname(hub.folder), "cache"), ATELIER_DOWNLOAD_CHUNK: "65536", HUGGINGFACE_TOKEN: "", HF_HUB_OFFLINE: "" }), { scope: "worker" }],
});

// What cannot be clicked is told as such, instead of being waited for until the test is over.
test.use({ actionTimeout: 60_000 });

const card = (page: Page, key: string) => page.locator(`[data-model="${key}"]`);
const look = (page: Page, key: string, state: string) => expect(card(page, key).locator("[data-look]")).toHaveAttribute("data-look", state);
const next = (page: Page, key: string, step: string) => card(page, key).locator(`[data-step="${step}"]`);
async function menu(page: Page, at: Locator, item: string) {
  await at.getByRole("button", { name: /^More for/ }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

test("a folder on the server's disk is entered, loaded, used, unloaded and forgotten", async ({ page, hub }) => {
  await page.goto("/models");
  await look(page, "creatures", "idle");
  await page.getByRole("button", { name: "Add a model" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a model" });
  await dialog.getByRole("radio", { name: "From disk" }).click();
  await dialog.getByLabel("Path on the server").fill("models/paint");
  await expect(dialog.getByText("Write it from the root")).toBeVisible();
  await dialog.getByLabel("Path on the server").fill(`${hub.folder}-not`);
  await dialog.getByRole("button", { name: "Enter it" }).click();
  await expect(dialog.getByRole("alert").first()).toBeVisible();
  await dialog.getByLabel("Path on the server").fill(hub.folder);
  await dialog.getByLabel("Name", { exact: true }).fill("Paint");
  await dialog.getByRole("button", { name: "Enter it" }).click();
  const drawer = page.getByRole("dialog", { name: "Model", exact: true });
  await expect(drawer).toContainText("Paint");
  await expect(page).toHaveURL(/\/models\/paint$/);
  await page.keyboard.press("Escape");
  await expect(drawer).toHaveCount(0);

  await next(page, "paint", "load").click();
  await look(page, "paint", "ready");
  await next(page, "paint", "use").click();
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole("complementary").getByRole("combobox", { name: "Model" })).toContainText("Paint");
  await prompt(page).fill("a lantern on a hill");
  await prompt(page).press("Control+Enter");
  await expect(run(page, "a lantern on a hill").getByRole("link", { name: /Picture 1/ })).toBeVisible();

  await page.goto("/models/paint");
  await expect(drawer.getByText("Worker log, live")).toBeVisible();
  await expect(drawer.getByText("http", { exact: false }).first()).toContainText('"model": "paint"');
  await drawer.getByRole("button", { name: /^More for/ }).click();
  await page.getByRole("menuitem", { name: "Unload" }).click();
  await expect(drawer.locator("[data-look]")).toHaveAttribute("data-look", "idle");
  await drawer.getByRole("button", { name: /^More for/ }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const question = page.getByRole("dialog", { name: "Delete Paint?" });
  await expect(question).toContainText("Its files stay where they are");
  await expect(question.getByRole("button", { name: "Cancel" })).toBeFocused();
  await question.getByRole("button", { name: "Forget the model" }).click();
  await expect(page).toHaveURL(/\/models$/);
  await expect(card(page, "paint")).toHaveCount(0);
});

test("from a search to a downloaded model: plan, pause, resume, and all of it gone again", async ({ page, hub }) => {
  test.slow();
  hub.bytesPerSecond(8_000); // it cannot end before it is paused
  await page.goto("/models?add=hub");
  const search = page.getByRole("dialog", { name: "Add a model" });
  await search.getByLabel("Search Hugging Face").fill("lant");
  await expect(search.getByRole("listitem")).toHaveCount(1);
  await search.getByRole("button", { name: "Choose someone/lanterns" }).click();
  const plan = page.getByRole("dialog", { name: "Download lanterns" });
  await expect(plan.getByText(/files are fetched/)).toBeVisible();
  await plan.getByText(/files are left out/).click();
  await expect(plan.getByText("convert.py")).toBeVisible();
  await plan.getByLabel("Name", { exact: true }).fill("Lanterns");
  await plan.getByRole("button", { name: /^Download / }).click();
  await expect(page).toHaveURL(/\/models\/lanterns$/);
  const drawer = page.getByRole("dialog", { name: "Model", exact: true });
  await expect(drawer.getByRole("button", { name: /^Pause/ })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(drawer).toHaveCount(0);
  await look(page, "lanterns", "downloading");
  await expect(card(page, "lanterns")).toContainText(/[KM]iB\/s/);
  await next(page, "lanterns", "pause").click();
  await look(page, "lanterns", "paused");
  await expect(card(page, "lanterns")).toContainText("paused");
  await page.reload();
  await look(page, "lanterns", "paused");
  hub.bytesPerSecond(1_000_000);
  await next(page, "lanterns", "resume").click();
  await look(page, "lanterns", "idle");
  await menu(page, card(page, "lanterns"), "Delete…");
  const question = page.getByRole("dialog", { name: "Delete Lanterns?" });
  await expect(question).toContainText("freed on disk");
  await question.getByRole("button", { name: "Delete model and files" }).click();
  await expect(card(page, "lanterns")).toHaveCount(0);
});

test("a model with terms asks for a token, refuses a wrong one, and goes on with the right one", async ({ page }) => {
  await page.goto("/models?get=someone/secret");
  const plan = page.getByRole("dialog", { name: "Download secret" });
  await expect(plan.getByText("Its owner asks you to accept terms")).toBeVisible();
  const start = plan.getByRole("button", { name: "Download", exact: true });
  await expect(start).toBeDisabled();
  await plan.getByLabel("Token", { exact: true }).fill("hf_wrong");
  await plan.getByRole("button", { name: "Check and store" }).click();
  await expect(plan.getByRole("alert").first()).toBeVisible();
  await plan.getByLabel("Token", { exact: true }).fill("hf_good");
  await plan.getByRole("button", { name: "Check and store" }).click();
  await expect(plan.getByRole("button", { name: /^Download \d/ })).toBeEnabled();
  await expect(page.locator("body")).not.toContainText("hf_good");
});

test("of a repository with several LoRAs one file is chosen, by keyboard too, and the other can follow", async ({ page }) => {
  await page.goto("/models?get=someone/styles");
  const plan = page.getByRole("dialog", { name: "Download styles" });
  const start = plan.getByRole("button", { name: /^Download/ });
  await expect(plan.getByRole("radiogroup", { name: "It holds 2 models. Which one?" })).toBeVisible();
  await expect(start).toBeDisabled();
  await expect(plan.getByText("First choose one of the files.")).toBeVisible();
  await plan.getByRole("radio", { name: "ink.safetensors" }).focus();
  await page.keyboard.press("ArrowDown");
  await expect(plan.getByRole("radio", { name: "oil.safetensors" })).toBeChecked();
  await expect(plan.getByText(/file is fetched/)).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1440, height: 900 });
  await start.click();
  await expect(page).toHaveURL(/\/models\/oil$/);
  await look(page, "oil", "idle");
  await page.goto("/models?get=someone/styles");
  await expect(plan.getByRole("radio", { name: "oil.safetensors" })).toBeDisabled();
  await plan.getByRole("radio", { name: "ink.safetensors" }).check();
  await expect(start).toBeEnabled();
});

test("load options with their estimate: asked while the form is filled in, and a remedy fills it in", async ({ page }) => {
  await page.goto("/models/creatures");
  await page.getByRole("button", { name: "Load options…" }).click();
  const dialog = page.getByRole("dialog", { name: "Load Creatures" });
  const expected = dialog.locator("[aria-live=polite] p").first();
  await expect(expected).toContainText(/MiB|GiB/);
  const before = await expected.textContent();
  await dialog.getByRole("radio", { name: "8 pictures" }).click();
  await expect(expected).not.toHaveText(before ?? "");
  await dialog.getByRole("button", { name: /4 at once/ }).click();
  await expect(dialog.getByRole("radio", { name: "4 pictures" })).toBeChecked();
  await dialog.getByRole("combobox", { name: "Leaves memory" }).click();
  await page.getByRole("option", { name: "never by itself" }).click();
  await dialog.getByRole("button", { name: "Save for this model" }).click();
  await expect(page.getByText("Load options kept")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("dialog", { name: "Model", exact: true })).toContainText("never by itself");
});

test("without a mouse: arrows among the cards, Enter opens, Escape closes, and the focus comes back", async ({ page }) => {
  await page.goto("/models");
  const links = page.locator("[data-card]");
  await links.first().focus();
  await page.keyboard.press("ArrowRight");
  await expect(links.nth(1)).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await expect(links.nth(1)).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog", { name: "Model", exact: true })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(links.nth(1)).toBeFocused();
  await page.keyboard.press("Home");
  await expect(links.first()).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Load options…" }).press("Enter");
  await expect(page.getByRole("dialog", { name: "Load Creatures" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect(await page.evaluate(() => document.activeElement?.closest("[data-model]")?.getAttribute("data-model"))).toBe("creatures");
});

test("filters have addresses, and nothing is wider than a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/models?task=chat");
  await expect(card(page, "qwen")).toBeVisible();
  await expect(card(page, "creatures")).toHaveCount(0);
  await page.getByLabel("Search models").fill("nothing like this");
  await expect(page.getByText("No model matches")).toBeVisible();
  await page.getByRole("button", { name: "Show all models" }).click();
  await expect(card(page, "creatures")).toBeVisible();
  for (const path of ["/models", "/models/creatures", "/models?add=hub", "/models?add=disk", "/models?add=found", "/models?get=someone/lanterns"]) {
    await page.goto(path);
    await settled(page);
    await fits(page);
  }
});
