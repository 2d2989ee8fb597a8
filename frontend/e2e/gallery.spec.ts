import { expect, test } from "./fixtures";

test.beforeAll(async ({ server }) => {
  const ids = await Promise.all([server.generate("a grey wolf", { num_outputs: 4, steps: 2 }), server.generate("a white rabbit", { num_outputs: 4, steps: 2 })]);
  for (const id of ids) await server.ended(id, 100);
});

test("the keyboard moves, selects, opens, deletes and takes back", async ({ page }) => {
  await page.goto("/gallery");
  const cells = page.getByRole("listbox", { name: "Pictures" }).getByRole("option");
  await expect(cells).toHaveCount(8);
  await cells.first().focus();
  await page.keyboard.press("ArrowRight");
  await expect(cells.nth(1)).toBeFocused();
  await page.keyboard.press("Space");
  await expect(cells.nth(1)).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Escape");
  await expect(cells.nth(1)).toHaveAttribute("aria-selected", "false");

  const opened = await cells.nth(1).getAttribute("data-image");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/gallery/${opened}`));
  await page.keyboard.press("ArrowRight");
  await expect(page).not.toHaveURL(new RegExp(`/gallery/${opened}`));
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/gallery$/);

  await cells.first().focus();
  await page.keyboard.press("Delete");
  await expect(cells).toHaveCount(7);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(cells).toHaveCount(8);
});

test("search by words of the prompt, in the address", async ({ page }) => {
  await page.goto("/gallery");
  await page.getByRole("searchbox").fill("rabbit");
  await expect(page).toHaveURL(/q=rabbit/);
  await expect(page.getByRole("option")).toHaveCount(4);
  await page.reload();
  await expect(page.getByRole("option")).toHaveCount(4);
  await page.getByRole("searchbox").fill("no such thing");
  await expect(page.getByText("No prompt contains “no such thing”.")).toBeVisible();
});

test("many are chosen and deleted together", async ({ page }) => {
  await page.goto("/gallery?q=wolf");
  const cells = page.getByRole("option");
  await expect(cells).toHaveCount(4);
  await cells.first().click({ modifiers: ["Control"] });
  await cells.nth(2).click({ modifiers: ["Shift"] });
  const bar = page.getByRole("toolbar", { name: "3 selected" });
  await bar.getByRole("button", { name: "Delete" }).click();
  await expect(cells).toHaveCount(1);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(cells).toHaveCount(4);
});

test("a picture is downloaded under a name that says what it is", async ({ page }) => {
  await page.goto("/gallery?q=wolf");
  await page.getByRole("option").first().click();
  const download = page.waitForEvent("download");
  await page.getByRole("dialog").getByRole("button", { name: "Download" }).click();
  expect((await download).suggestedFilename()).toMatch(/\.png$/);
});

test("what is taken back stands where it stood, and no page is read again", async ({ page }) => {
  await page.goto("/gallery");
  const cells = page.getByRole("option");
  const note = page.getByText(/^\d+ pictures$/);
  await expect(cells.nth(3)).toBeVisible();
  const before = await cells.evaluateAll((all) => all.map((cell) => cell.getAttribute("data-image")));
  const counted = await note.textContent();
  const reads: string[] = [];
  page.on("request", (request) => {
    if (request.method() === "GET" && /\/api\/gallery(\?|$)/.test(request.url())) reads.push(request.url());
  });
  await cells.nth(2).focus();
  await page.keyboard.press("Delete");
  await expect(cells).toHaveCount(before.length - 1);
  await expect(note).not.toHaveText(counted ?? "");
  const restored = page.waitForResponse(/\/restore$/);
  await page.getByRole("button", { name: "Undo" }).click();
  await restored;
  await expect(cells).toHaveCount(before.length);
  expect(await cells.evaluateAll((all) => all.map((cell) => cell.getAttribute("data-image")))).toEqual(before);
  await expect(note).toHaveText(counted ?? "");
  await page.waitForTimeout(800);
  expect(reads).toEqual([]);
});

for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 844 }, { width: 900, height: 480 }]) {
  test(`the zoom bar covers nothing of a fitted picture, ${viewport.width} × ${viewport.height}`, async ({ page }) => {
    await page.setViewportSize(viewport);
    await page.goto("/gallery");
    await page.getByRole("option").first().click();
    const view = page.getByRole("dialog");
    const picture = await view.locator("img").first().boundingBox();
    const zoom = view.getByRole("button", { name: "Zoom in" });
    const bar = await zoom.locator("xpath=..").boundingBox();
    if (!picture || !bar) throw new Error("no picture or no bar");
    expect(picture.y + picture.height).toBeLessThanOrEqual(bar.y);
    expect(picture.height).toBeGreaterThan(100);
    await zoom.click();
    await expect(async () => expect((await view.locator("img").first().boundingBox())?.height).toBeGreaterThan(picture.height)).toPass();
  });
}
