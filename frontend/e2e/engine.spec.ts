import { ask, expect, run, test } from "./fixtures";

// The real engine with the shipped model: slow on a machine without a GPU, and the only place where previews are real.
test.use({ environment: { ATELIER_FAKE_ENGINE: "0" } });

test("a picture comes into focus in its own place, lies in the gallery, and is there after a restart", async ({ page, server }) => {
  test.setTimeout(600_000);
  await page.goto("/");
  await page.getByRole("textbox", { name: "Steps" }).fill("12");
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
