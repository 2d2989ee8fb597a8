import { ask, expect, run, test } from "./fixtures";

// The real engine with the shipped model: slow on a machine without a GPU, and the only place where previews are real.
test.use({ environment: { ATELIER_FAKE_ENGINE: "0" } });

test("a picture comes into focus step by step, in its own place", async ({ page }) => {
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
  expect([filled?.width, filled?.height]).toEqual([reserved?.width, reserved?.height]);
  await expect(tile.getByRole("link")).toBeVisible();
});
