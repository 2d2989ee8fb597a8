import { readFile } from "node:fs/promises";

import { accessible, expect, fits, test } from "./fixtures";
import { addChatModel } from "./weights";

test.beforeAll(async ({ server }) => {
  for (const key of ["first", "second"]) await addChatModel(server, key);
});

test("two models are measured, compared and exported", async ({ page }) => {
  await page.goto("/chat/benchmark");
  await expect(page.getByText("Nothing measured yet")).toBeVisible();
  await page.getByRole("combobox", { name: "Models" }).click();
  for (const option of await page.getByRole("option").all()) {
    const wanted = /first|second/.test((await option.textContent()) ?? "");
    if ((await option.getAttribute("aria-selected")) !== String(wanted)) await option.click();
  }
  await page.keyboard.press("Escape");
  await page.getByLabel("Requests at once").fill("0");
  await expect(page.getByRole("button", { name: "Measure" })).toBeDisabled();
  await page.getByLabel("Requests at once").fill("1, 2, 4");
  await page.getByLabel("Requests each").fill("4");
  await page.getByLabel("Answer tokens").fill("8");
  await page.getByLabel("TTFT at most, in ms").fill("60000");
  await page.getByRole("textbox", { name: "Name" }).fill("both");
  await page.getByRole("textbox", { name: "Name" }).press("Enter");
  const row = page.locator("[data-benchmark]").first();
  await expect(row).toHaveAttribute("data-status", "completed");
  await expect(page.getByRole("region", { name: "All figures" }).getByRole("row")).toHaveCount(7);
  await expect(page.getByRole("cell", { name: "100%" })).toHaveCount(6);
  const chart = page.getByRole("slider", { name: /Time to first token/ });
  await chart.focus();
  await chart.press("ArrowLeft");
  await expect(chart).toHaveAttribute("aria-valuetext", /^At once 2; first: .* ms; second: .* ms$/);
  const arriving = page.waitForEvent("download");
  await row.getByRole("link", { name: "CSV of both" }).click();
  expect((await readFile(await (await arriving).path(), "utf8")).trim().split("\n")).toHaveLength(7);
});

test("it fits a phone, in both themes, and is deleted after a question", async ({ page }) => {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await page.goto("/chat/benchmark");
      await expect(page.getByRole("slider").first()).toBeVisible();
      await fits(page);
    }
    await accessible(page);
  }
  const row = page.locator("[data-benchmark]").first();
  await row.getByRole("button", { name: "Delete" }).press("Enter");
  await row.getByRole("button", { name: "Delete for good?" }).press("Enter");
  await expect(page.getByText("Nothing measured yet")).toBeVisible();
});
