import AxeBuilder from "@axe-core/playwright";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, fits, test } from "./fixtures";

const SIZES = { max_position_embeddings: 4096, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2, head_dim: 16, vocab_size: 512 };

/** A folder that looks like a chat model; the fake engine answers for it. */
async function chatModel(key: string): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), "atelier-bench-")), key);
  await mkdir(folder);
  await writeFile(join(folder, "config.json"), JSON.stringify({ architectures: ["Qwen3ForCausalLM"], model_type: "qwen3", ...SIZES }));
  const header = Buffer.from(JSON.stringify({ a: { dtype: "BF16", shape: [2, 2], data_offsets: [0, 8] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(join(folder, "model.safetensors"), Buffer.concat([length, header, Buffer.alloc(8)]));
  return folder;
}

test.beforeAll(async ({ server }) => {
  for (const key of ["first", "second"]) {
    const answer = await fetch(`${server.url}/api/models/import`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ path: await chatModel(key), key }) });
    expect([200, 201]).toContain(answer.status);
  }
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
    const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]).analyze();
    expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  }
  const row = page.locator("[data-benchmark]").first();
  await row.getByRole("button", { name: "Delete" }).press("Enter");
  await row.getByRole("button", { name: "Delete for good?" }).press("Enter");
  await expect(page.getByText("Nothing measured yet")).toBeVisible();
});
