import { ask, expect, run, test } from "./fixtures";

// The real engine with the shipped model: slow on a machine without a GPU, and the only place where previews are real.
test.use({ environment: { ATELIER_FAKE_ENGINE: "0" } });

test("a reload loses none of the previews", async ({ page }) => {
  test.setTimeout(300_000);
  await page.goto("/");
  await page.getByRole("radio", { name: "2" }).click();
  await page.getByRole("textbox", { name: "Steps" }).fill("100");
  await ask(page, "a blue bird");
  const tiles = run(page, "a blue bird").locator("[data-tile]");
  await expect(tiles.nth(1)).toHaveAttribute("data-tile", "preview", { timeout: 240_000 });
  await page.reload();
  await expect(tiles.nth(0)).toHaveAttribute("data-tile", "preview"); // it is done and gets no more of its own
  await expect(tiles.nth(1)).toHaveAttribute("data-tile", "image", { timeout: 120_000 });
});

test("a picture comes into focus in its own place, lies in the gallery, and is there after a restart", async ({ page, server }) => {
  test.setTimeout(600_000);
  await page.goto("/");
  await page.getByRole("textbox", { name: "Steps" }).fill("80"); // long enough for the preview to be seen
  await ask(page, "a red dragon");
  const tile = run(page, "a red dragon").locator("[data-tile]");
  await expect(tile).toBeVisible();
  const reserved = await tile.boundingBox();
  await expect(tile).toHaveAttribute("data-tile", "preview", { timeout: 480_000 });
  await expect(tile.getByRole("img")).toHaveAttribute("src", /^data:image\/jpeg/);
  await expect(tile).toHaveAttribute("data-tile", "image", { timeout: 240_000 });
  const filled = await tile.boundingBox();
  expect(filled).toEqual(reserved);
  await expect(tile.getByRole("link")).toBeVisible();

  await page.getByRole("navigation").getByRole("link", { name: "Gallery" }).click();
  const cell = page.getByRole("option", { name: "a red dragon" });
  await expect(cell).toHaveCount(1);
  await server.kill();
  await server.resume();
  await page.reload();
  await expect(cell).toHaveCount(1);
  await expect(cell.locator("img")).toHaveJSProperty("complete", true);
});
