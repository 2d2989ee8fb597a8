import { readFile } from "node:fs/promises";

import { accessible, expect, fits, test } from "./fixtures";

test.use({ environment: { ATELIER_FAKE_STEP_SECONDS: "0.2", BATCH_CONCURRENCY: "1" } });

const line = (id: string, body: object) => JSON.stringify({ custom_id: id, method: "POST", url: "/v1/images/generations", body: { model: "creatures", size: "256x256", steps: 1, ...body } });
const file = (name: string, lines: string[]) => ({ name, mimeType: "application/jsonl", buffer: Buffer.from(lines.join("\n")) });

test("a file is answered, and its answers are taken", async ({ page }) => {
  await page.goto("/jobs");
  await page.getByRole("link", { name: "Batches" }).click();
  await expect(page.getByText("No batches yet")).toBeVisible();
  await page.getByTestId("batch-file").setInputFiles(file("foxes.jsonl", [...Array.from({ length: 3 }, (_, at) => line(`fox-${at}`, { prompt: "a fox" })), line("wrong", { prompt: "x", n: 99 })]));
  await expect(page.getByRole("combobox", { name: "Endpoint" })).toHaveText("images/generations");
  await page.getByRole("button", { name: "Start" }).click();
  const row = page.locator("[data-batch]").first();
  await expect(row).toHaveAttribute("data-status", "completed");
  await expect(row.getByText("3 of 4 lines answered · 1 with an error")).toBeVisible();
  const arriving = page.waitForEvent("download");
  await row.getByRole("link", { name: "Answers" }).click();
  const answers = (await readFile(await (await arriving).path(), "utf8")).trim().split("\n").map((text) => JSON.parse(text) as { custom_id: string });
  expect(answers.map((one) => one.custom_id)).toEqual(["fox-0", "fox-1", "fox-2"]);
  await row.getByRole("link", { name: "Job" }).click();
  await expect(page.getByRole("dialog", { name: "Job details" }).getByText("Batch: foxes.jsonl")).toBeVisible();
});

test("what is wrong with a file is told by line, and one that runs is stopped with the keyboard", async ({ page }) => {
  await page.goto("/jobs/batches");
  const give = page.getByTestId("batch-file");
  await give.setInputFiles(file("broken.jsonl", [line("a", {}), "{", line("a", {})]));
  await page.getByRole("button", { name: "Start" }).press("Enter");
  const wrong = page.locator("[data-batch]", { hasText: "broken.jsonl" });
  await wrong.getByRole("button", { name: "2 things are wrong with the file" }).press("Enter");
  await expect(wrong.getByText("Line 3: Line 1 has the same custom_id.")).toBeVisible();

  // What fails after the file has arrived is tried again without sending the file again.
  const sent: string[] = [];
  page.on("request", (request) => request.method() === "POST" && sent.push(new URL(request.url()).pathname));
  await page.route("**/v1/batches", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()), { times: 1 });
  await give.setInputFiles(file("long.jsonl", Array.from({ length: 60 }, (_, at) => line(`${at}`, { prompt: "a fox" }))));
  await page.getByRole("button", { name: "Start" }).press("Enter");
  await expect(page.getByRole("alert")).toContainText("The batch was not taken");
  await page.getByRole("button", { name: "Start" }).press("Enter");
  const long = page.locator("[data-batch]", { hasText: "long.jsonl" });
  await expect(long).toHaveAttribute("data-status", "in_progress");
  await expect(long.getByRole("link", { name: "Answers" })).toBeVisible();
  expect(sent).toEqual(["/v1/files", "/v1/batches", "/v1/batches"]);
  await long.getByRole("button", { name: "Stop" }).press("Enter");
  await expect(long).toHaveAttribute("data-status", "cancelled");
});

test("it fits a phone, in both themes", async ({ page }) => {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      await page.goto("/jobs/batches");
      await expect(page.locator("[data-batch]").first()).toBeVisible();
      await fits(page);
    }
    await accessible(page);
  }
});
