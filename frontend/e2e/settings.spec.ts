/** What fills the form: LoRAs, files that say how they were made, earlier results, the prompt book; and grids of it. */
import type { Page } from "@playwright/test";

import { accessible, ask, expect, fits, prompt, run, test } from "./fixtures";
import { png } from "./png";
import { addLora, addVideoModel } from "./weights";

test.use({ environment: { ATELIER_FAKE_STEP_SECONDS: "0.02" } });

const send = (page: Page) => page.getByRole("button", { name: "Generate", exact: true }).click();

async function lastRequest(page: Page, words: string): Promise<Record<string, unknown> & { resolved: Record<string, unknown> }> {
  await expect(run(page, words).first().locator("[data-tile=image]").first()).toBeVisible();
  const id = await run(page, words).first().getAttribute("data-job");
  const job = (await (await page.request.get(`/api/jobs/${id}`)).json()) as { request: Record<string, unknown> & { resolved: Record<string, unknown> } };
  return job.request;
}

/** Hands the page a file as a paste or a drop does. */
async function hand(page: Page, way: "paste" | "drop", body: Buffer, type = "image/png"): Promise<void> {
  await page.evaluate(([kind, bytes, mime]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], "handed.png", { type: mime }));
    if (kind === "paste") window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
    else for (const name of ["dragenter", "dragover", "drop"]) window.dispatchEvent(new DragEvent(name, { dataTransfer: data, cancelable: true }));
  }, [way, body.toString("base64"), type] as const);
}

test("a LoRA is found by name, weighed, called by its word, and varied in a grid", async ({ page, server }) => {
  await addLora(server, "ink-wash", "brush strokes", "ink", "Ink wash");
  await page.goto("/");
  await page.getByRole("combobox", { name: "Add a LoRA" }).fill("ink");
  await page.getByRole("option", { name: "Ink wash" }).click();
  await page.getByRole("textbox", { name: "Ink wash" }).fill("9");
  await expect(page.getByText("From -4 to 4.")).toBeVisible();
  await page.getByRole("textbox", { name: "Ink wash" }).fill("0.6");
  await prompt(page).fill("a heron");
  await page.getByRole("button", { name: "brush strokes" }).click();
  await expect(prompt(page)).toHaveValue("a heron, brush strokes");
  await send(page);
  expect(await lastRequest(page, "a heron, brush strokes")).toMatchObject({ loras: [{ model: "ink", weight: 0.6 }], resolved: { loras: [{ model: "ink", weight: 0.6 }] } });

  await page.getByRole("button", { name: "Make a grid" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Make a grid" });
  await dialog.getByRole("combobox", { name: "Along the rows" }).click();
  await page.getByRole("option", { name: "LoRA weight" }).click();
  await expect(dialog.getByRole("combobox", { name: "LoRA" })).toHaveText("Ink wash");
  await dialog.getByRole("combobox", { name: "Along the columns" }).click();
  await page.getByRole("option", { name: "Scheduler" }).click();
  await expect(dialog.getByText("9 pictures and a sheet")).toBeVisible();
  await accessible(page);
  await dialog.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("button", { name: "Follow" }).click();
  await page.waitForURL(/jobs\/job_/);
  const grid = await server.ended(page.url().split("/").at(-1) ?? "", 100);
  expect(grid.status).toBe("completed");
  await page.goto("/");
  await page.getByRole("button", { name: "Take Ink wash off" }).click();
  await expect(page.getByRole("textbox", { name: "Ink wash" })).toHaveCount(0);
});

test("a sampler is found by typing, in groups", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Advanced" }).click();
  const field = page.getByRole("combobox", { name: "Scheduler" });
  await field.fill("2m karras");
  await page.getByRole("option", { name: "DPM++ 2M Karras" }).click();
  await ask(page, "a sampled fox");
  expect((await lastRequest(page, "a sampled fox")).resolved.scheduler).toBe("dpmpp_2m_karras");
  await field.fill("");
  await ask(page, "a fox of its own");
  expect(await lastRequest(page, "a fox of its own")).not.toHaveProperty("scheduler");
});

for (const way of ["paste", "drop"] as const) {
  test(`a picture comes by ${way}, and one that says how it was made gives its settings`, async ({ page }) => {
    await page.goto("/");
    await expect(prompt(page)).toBeFocused();
    await hand(page, way, png(192, 128));
    await expect(page.getByRole("img", { name: /handed\.png/ })).toHaveJSProperty("naturalWidth", 192);
    await expect(page.getByText("This picture says how it was made.")).toHaveCount(0);
    await hand(page, way, png(256, 256, "a told toad\nSteps: 3, Sampler: Euler a, CFG scale: 4.5, Seed: 77, Size: 256x256, Model: creatures"));
    await page.getByRole("button", { name: "Use these settings" }).click();
    await expect(prompt(page)).toHaveValue("a told toad");
    await expect(page.getByRole("textbox", { name: "Seed" })).toHaveValue("77");
    await expect(page.getByRole("textbox", { name: "Steps" })).toHaveValue("3");
    await page.getByRole("button", { name: "Advanced" }).click();
    await expect(page.getByRole("combobox", { name: "Scheduler" })).toHaveValue("Euler a");
    await expect(page.locator("[data-task]")).toHaveCount(0);
    await hand(page, way, Buffer.from("no picture"), "text/plain");
    if (way === "drop") await expect(page.getByRole("alert")).toContainText("“handed.png” is no PNG, JPEG or WebP picture.");
    await expect(page.locator("[data-task]")).toHaveCount(0);
  });
}

test("the same settings bring a painted mask along", async ({ page }) => {
  await page.goto("/");
  await page.locator("input[type=file]").setInputFiles({ name: "photo.png", mimeType: "image/png", buffer: png(256, 256) });
  await page.getByRole("radio", { name: "Inpaint" }).click();
  await page.getByRole("button", { name: "Paint the mask" }).click();
  await page.getByRole("application").click();
  const painted = await page.getByRole("dialog").getByRole("status").textContent();
  expect(painted).not.toBe("0% painted");
  await page.getByRole("button", { name: "Done" }).click();
  await ask(page, "a masked magpie");
  const first = await lastRequest(page, "a masked magpie");
  await page.getByRole("button", { name: "Take the picture away" }).click();
  const tile = run(page, "a masked magpie").locator("[data-tile=image]").first();
  await tile.hover();
  await tile.getByRole("button", { name: "Same settings" }).click();
  await expect(page.getByRole("button", { name: "Change the mask" })).toBeVisible();
  await expect(page.getByText(painted ?? "", { exact: true })).toBeVisible();
  await send(page);
  await expect(run(page, "a masked magpie")).toHaveCount(2);
  expect(await lastRequest(page, "a masked magpie")).toMatchObject({ image: first.image, mask: first.mask });
});

test("a video is made with its own steps, and the same settings make it again", async ({ page, server }) => {
  await addVideoModel(server);
  const done = await server.ended(await server.generate("a weathercock", { steps: 1 }));
  await page.goto(`/?input=${done.images[0]?.id}&do=animate`);
  await page.getByRole("textbox", { name: "Steps" }).fill("300");
  await send(page);
  await expect(page.getByText("A whole number from 1 to 200.")).toBeVisible();
  await page.getByRole("textbox", { name: "Steps" }).fill("4");
  await page.getByRole("textbox", { name: "Guidance" }).fill("2.5");
  await page.getByRole("textbox", { name: "Frames", exact: true }).fill("6");
  await send(page);
  expect(await lastRequest(page, "Animate")).toMatchObject({ steps: 4, guidance_scale: 2.5, frames: 6 });
  await run(page, "Animate").locator("[data-tile=image]").getByRole("link").click();
  await page.getByRole("button", { name: "Same settings" }).click();
  await expect(page.getByRole("radio", { name: "Animate" })).toBeChecked();
  for (const [name, value] of [["Steps", "4"], ["Guidance", "2.5"], ["Frames", "6"]] as const) await expect(page.getByRole("textbox", { name, exact: true })).toHaveValue(value);
  await expect(page.getByRole("textbox", { name: "Seed" })).toHaveValue(/^\d+$/);
});

test("the prompt book finds what was asked, keeps it, and adds a style", async ({ page }) => {
  await page.goto("/");
  await ask(page, "a lighthouse at night");
  await lastRequest(page, "a lighthouse at night");
  await prompt(page).fill("something else");
  const opener = page.getByRole("button", { name: "Prompts and styles" });
  await opener.click();
  const book = page.getByRole("dialog", { name: "Prompts and styles" });
  await book.getByRole("textbox").fill("lighthouse");
  await accessible(page);
  await book.getByRole("button", { name: "Keep “a lighthouse at night”" }).click();
  await book.getByRole("radio", { name: "Favourites" }).click();
  await book.getByRole("button", { name: "a lighthouse at night", exact: true }).click();
  await expect(prompt(page)).toHaveValue("a lighthouse at night");
  await opener.click();
  await book.getByRole("radio", { name: "Styles" }).click();
  await book.getByRole("button", { name: "New style" }).click();
  await book.getByLabel("Name").fill("Noir");
  await book.getByLabel("Words", { exact: true }).fill("{prompt}, black and white");
  await book.getByRole("button", { name: "Save" }).click();
  await book.getByRole("checkbox", { name: "Noir" }).check();
  await page.keyboard.press("Escape");
  await send(page);
  const noir = run(page, "a lighthouse at night, black and white").first();
  await expect(noir.locator("[data-tile=image]").first()).toBeVisible();
  // The style comes back as a style, not in the words.
  await prompt(page).fill("something else");
  await noir.locator("[data-tile=image]").first().hover();
  await noir.getByRole("button", { name: "Same settings" }).first().click();
  await expect(prompt(page)).toHaveValue("a lighthouse at night");
  await opener.click();
  await book.getByRole("radio", { name: "Styles" }).click();
  await expect(book.getByRole("checkbox", { name: "Noir" })).toBeChecked();
  // A style that was deleted comes back; the history does not, and is asked about first.
  await book.getByRole("button", { name: /^Noir/ }).click();
  await book.getByRole("button", { name: "Delete" }).click();
  await expect(book.getByRole("checkbox", { name: "Noir" })).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(book.getByRole("checkbox", { name: "Noir" })).toBeVisible();
  await book.getByRole("radio", { name: "Recent" }).click();
  await book.getByRole("button", { name: "Forget the history" }).click();
  await expect(book.getByRole("button", { name: "Forget “a lighthouse at night”" })).toBeVisible();
  await book.getByRole("button", { name: "Forget it all, but the favourites?" }).click();
  await expect(book.getByRole("button", { name: "Forget the history" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
});
