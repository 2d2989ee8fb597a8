import type { Page } from "@playwright/test";

import { accessible, ask, expect, fits, prompt, run, test } from "./fixtures";
import { png } from "./png";
import { addVideoModel } from "./weights";

test.use({ environment: { ATELIER_FAKE_STEP_SECONDS: "0.02" } });

const file = (width: number, height: number) => ({ name: "photo.png", mimeType: "image/png", buffer: png(width, height) });
const photo = file(384, 256);

/** Gives the page a file to work from, and waits until the server has it. */
async function give(page: Page, picture = photo): Promise<void> {
  await page.locator("input[type=file]").setInputFiles(picture);
  await expect(page.locator("[data-task]")).toBeVisible();
  await expect(page.getByText("Sending the picture")).toHaveCount(0);
}

const task = (page: Page, name: string) => page.getByRole("radio", { name, exact: true }).click();

async function asked(page: Page, words: string): Promise<{ request: Record<string, unknown> & { resolved: Record<string, unknown> } }> {
  await expect(run(page, words).locator("[data-tile=image]").first()).toBeVisible();
  const id = await run(page, words).getAttribute("data-job");
  return (await page.request.get(`/api/jobs/${id}`)).json();
}

test("a picture from this machine is changed after words, and is still there after a reload", async ({ page }) => {
  await page.goto("/");
  await give(page);
  await page.reload();
  await expect(page.getByRole("img", { name: /photo\.png/ })).toHaveJSProperty("naturalWidth", 384);
  await ask(page, "a fox in the snow");
  const { request } = await asked(page, "a fox in the snow");
  expect(request).toMatchObject({ image: expect.stringMatching(/^inp_/), strength: 0.6, resolved: { task: "image_to_image", width: 384, height: 256 } });
  await accessible(page);
});

test("what is no picture is refused where it was given, here and by the server", async ({ page }) => {
  await page.goto("/");
  await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no") });
  await expect(page.getByRole("alert")).toContainText("“notes.txt” is no PNG, JPEG or WebP picture.");
  // A browser shows the half of a picture that is there; the server wants all of it.
  await page.locator("input[type=file]").setInputFiles({ ...photo, buffer: photo.buffer.subarray(0, photo.buffer.length - 400) });
  await expect(page.getByRole("alert").getByRole("button", { name: "Try again" })).toBeVisible();
  await page.getByRole("button", { name: "Take the picture away" }).click();
  await expect(page.locator("[data-task]")).toHaveCount(0);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("a mask is painted, undone, painted again, and only what is painted is made anew", async ({ page }) => {
  await page.goto("/");
  await give(page);
  await task(page, "Inpaint");
  await ask(page, "a red hat");
  await expect(page.getByText("Paint over what is to be made anew first.")).toBeVisible();
  await page.getByRole("button", { name: "Paint the mask" }).click();
  const canvas = page.getByRole("application");
  const box = await canvas.boundingBox();
  if (!box) throw new Error("no canvas");
  const draw = async (from: number, to: number) => {
    await page.mouse.move(box.x + box.width * from, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * to, box.y + box.height / 2, { steps: 5 });
    await page.mouse.up();
  };
  const status = page.getByRole("dialog").getByRole("status");
  await expect(status).toHaveText("0% painted");
  await draw(0.4, 0.6);
  await expect(status).not.toHaveText("0% painted");
  const painted = await status.textContent();
  await page.keyboard.press("Control+z");
  await expect(status).toHaveText("0% painted");
  await page.keyboard.press("Control+y");
  await expect(status).toHaveText(painted ?? "");
  await canvas.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  await expect(status).not.toHaveText(painted ?? "");
  await accessible(page);
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const { request } = await asked(page, "a red hat");
  expect(request).toMatchObject({ mask: expect.stringMatching(/^inp_/), resolved: { task: "inpaint" } });
  // White in the middle, where it was painted; black at the edge.
  const values = await page.evaluate(async (id) => {
    const bitmap = await createImageBitmap(await (await fetch(`/api/inputs/${id}/file`)).blob());
    const board = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    board?.drawImage(bitmap, 0, 0);
    return [bitmap.width, board?.getImageData(bitmap.width / 2, bitmap.height / 2, 1, 1).data[0], board?.getImageData(2, 2, 1, 1).data[0]];
  }, request.mask);
  expect(values).toEqual([384, 255, 0]);
});

test("a picture goes on beyond an edge that is dragged", async ({ page }) => {
  await page.goto("/");
  await give(page, file(256, 256));
  await task(page, "Outpaint");
  const edge = page.getByRole("slider", { name: "Left edge" });
  await edge.hover(); // once it stands still
  const box = await edge.boundingBox();
  if (!box) throw new Error("no edge");
  await page.mouse.down();
  await page.mouse.move(box.x - 20, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await expect(edge).not.toHaveAttribute("aria-valuenow", "0");
  const dragged = Number(await edge.getAttribute("aria-valuenow"));
  await edge.press("ArrowLeft");
  await expect(edge).not.toHaveAttribute("aria-valuenow", String(dragged));
  const pixels = Number(await edge.getAttribute("aria-valuenow"));
  expect(pixels).toBeGreaterThan(dragged);
  await ask(page, "a wide field");
  const { request } = await asked(page, "a wide field");
  expect(request.resolved).toMatchObject({ task: "outpaint", width: 256 + pixels, height: 256 });
});

test("a result is made larger without a word", async ({ page, server }) => {
  const done = await server.ended(await server.generate("a small boat", { steps: 1 }));
  await page.goto(`/gallery/${done.images[0]?.id}`);
  await page.getByRole("button", { name: "More with this picture" }).click();
  await page.getByRole("menuitem", { name: "Upscale" }).click();
  await expect(page.getByText("It comes to 512 × 512.")).toBeVisible();
  await prompt(page).fill("");
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const { request } = await asked(page, "a small boat");
  expect(request.resolved).toMatchObject({ task: "upscale", width: 512, height: 512 });
});

test("a picture becomes a video, which plays where it is pointed at and in the full view", async ({ page, server }) => {
  await addVideoModel(server);
  const done = await server.ended(await server.generate("a windmill", { steps: 1 }));
  await page.goto(`/?input=${done.images[0]?.id}&do=animate`);
  await expect(page.getByRole("radio", { name: "Animate" })).toBeChecked();
  await expect(prompt(page)).toHaveCount(0);
  await accessible(page);
  await page.getByRole("button", { name: "Generate", exact: true }).click();
  const tile = run(page, "Animate").locator("[data-tile=image]");
  await expect(tile.locator("[data-video=rests]")).toBeVisible();
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await tile.hover();
  const video = tile.locator("video");
  await expect(video).toHaveJSProperty("muted", true);
  await expect.poll(() => video.evaluate((each: HTMLVideoElement) => each.currentTime)).toBeGreaterThan(0);
  await page.mouse.move(0, 0);
  await expect(video).toHaveCount(0);
  await page.emulateMedia({ reducedMotion: "reduce" });
  await tile.hover();
  await expect(tile.locator("[data-video=rests]")).toBeVisible();
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await tile.getByRole("link").click();
  // It has no words: it is called by what it is.
  const player = page.getByRole("dialog", { name: "A video" }).locator("video");
  await expect(player).toHaveAttribute("controls", "");
  await expect.poll(() => player.evaluate((each: HTMLVideoElement) => each.currentTime)).toBeGreaterThan(0);
  // The controls stand on the video, not on the room beside it.
  const made = (await (await page.request.get(`/api${new URL(page.url()).pathname}`)).json()) as { width: number; height: number };
  const shown = await player.boundingBox();
  expect((shown?.width ?? 0) / (shown?.height ?? 1)).toBeCloseTo(made.width / made.height, 1);
  await expect(page.getByRole("complementary", { name: "Recipe" }).getByText("Animate")).toBeVisible();
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("a mask is painted with a finger, and everything fits", async ({ page }) => {
    await page.goto("/");
    await give(page);
    await fits(page);
    await page.getByRole("radio", { name: "Inpaint" }).tap();
    await page.getByRole("button", { name: "Paint the mask" }).tap();
    await page.getByRole("application").tap({ position: { x: 190, y: 300 } });
    await expect(page.getByRole("dialog").getByRole("status")).not.toHaveText("0% painted");
    await fits(page);
    await page.getByRole("button", { name: "Done" }).tap();
    await expect(page.getByRole("button", { name: "Change the mask" })).toBeVisible();
    await fits(page);
  });
});
