import { cpSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { accessible, expect, fits, settled, test } from "./fixtures";

/** Room for one model of this size, not for two. */
test.use({ studio: "line", environment: { ATELIER_MEMORY_BUDGET: String(240 * 1024 ** 2) } });

const card = (page: Page, key: string) => page.locator(`[data-model="${key}"]`);
const look = (page: Page, key: string, state: string) => expect(card(page, key).locator("[data-look]")).toHaveAttribute("data-look", state);

test("a load that waits in line says its place, who has the memory, and can be taken back", async ({ page, server }) => {
  const folder = join(server.folder, "lanterns");
  cpSync(new URL("../../backend/embedded/models/creatures", import.meta.url), folder, { recursive: true });
  const send = (method: string, path: string, body: object) => fetch(server.url + path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  expect((await send("POST", "/api/models/import", { path: folder })).status).toBe(201);
  expect((await send("PATCH", "/api/models/lanterns", { defaults: { steps: 4, guidance_scale: 1, width: 256, height: 256 } })).status).toBe(200);
  const job = await server.generate("a fox fake:step:90", { steps: 1 });
  await page.goto("/models");
  await look(page, "creatures", "ready");
  await card(page, "lanterns").locator('[data-step="load"]').click();
  await look(page, "lanterns", "waiting");
  await expect(card(page, "lanterns")).toContainText("Next in line");
  await expect(card(page, "lanterns")).toContainText("creatures holds");
  for (const path of ["/models/lanterns", "/system"]) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(path);
    await expect(page.locator("[data-in-line]")).toContainText(/Next in line.*creatures holds .* \(busy\) · finishes first/);
    await settled(page);
    await fits(page);
    await page.setViewportSize({ width: 1440, height: 900 });
  }
  await accessible(page);
  await page.goto("/models/lanterns");
  await page.getByRole("button", { name: "Load options…" }).click();
  const dialog = page.getByRole("dialog", { name: "Load lanterns" });
  await expect(dialog.locator("[data-in-line]")).toContainText("creatures holds");
  await expect(dialog.getByText("Who has the memory")).toBeVisible();
  await dialog.getByRole("button", { name: "Stop loading" }).click();
  await expect(dialog.getByRole("button", { name: "Load now" })).toBeEnabled();
  await expect(dialog.locator("[data-in-line]")).toHaveCount(0);
  await fetch(`${server.url}/api/jobs/${job}`, { method: "DELETE" });
});
