import { accessible, expect, fits, test } from "./fixtures";

test.use({ environment: { POKEMON_BEARER_TOKEN: "a-key-of-its-own" } });

test("a creature is drawn with the service's own key, and how they are made is shown", async ({ page }) => {
  await page.goto("/creatures");
  await expect(page.getByText("from a folder with 6 pictures")).toBeVisible();
  await expect(page.getByLabel("What it looks like")).toHaveCount(0); // a folder takes no words
  await page.getByRole("button", { name: "Draw a creature" }).click();
  await expect(page.getByRole("alert")).toContainText("POKEMON_BEARER_TOKEN");
  await page.getByLabel("Key of the service").fill("a-key-of-its-own");
  await page.getByRole("button", { name: "Draw a creature" }).click();
  const one = page.getByRole("article");
  await expect(one.getByRole("img")).toHaveJSProperty("complete", true);
  expect(await one.getByRole("img").evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  await expect(one.getByText(/, of F \(common\) to S\+/)).toBeVisible();
  await expect(page.getByRole("dialog")).toHaveCount(0); // the dashboard's own padlock has nothing to do with it
  await page.getByRole("button", { name: "Draw a creature" }).click();
  await expect(page.getByRole("listitem").filter({ has: page.getByRole("img") })).toHaveCount(1);
  await accessible(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
});
