import { accessible, expect, fits, test } from "./fixtures";

test.use({ studio: "gallery", environment: { ATELIER_FAKE_STEP_SECONDS: "0.02" } });

test.beforeAll(async ({ server }) => {
  const ids = await Promise.all([server.generate("a grey wolf", { num_outputs: 4, steps: 2 }), server.generate("a white rabbit", { num_outputs: 4, steps: 2 })]);
  for (const id of ids) await server.ended(id, 100);
});

test("the keyboard moves, selects, opens, deletes and takes back", async ({ page }) => {
  await page.goto("/gallery");
  const cells = page.getByRole("listbox", { name: "Pictures" }).getByRole("option");
  await expect(cells).toHaveCount(8);
  await cells.first().focus();
  // React makes a cell's functions anew whenever it draws it: of thousands only those may be drawn that changed.
  const drawn = () => cells.evaluateAll((all) => {
    const page = window as unknown as { drawn?: unknown[] };
    const before = page.drawn ?? [];
    page.drawn = all.map((cell) => (Object.entries(cell).find(([name]) => name.startsWith("__reactProps"))?.[1] as { onClick: unknown }).onClick);
    return page.drawn.flatMap((one, index) => (one === before[index] ? [] : [index]));
  });
  expect(await drawn()).toHaveLength(8);
  await page.keyboard.press("ArrowRight");
  await expect(cells.nth(1)).toBeFocused();
  expect(await drawn()).toEqual([0, 1]);
  const ring = (at: number) => cells.nth(at).evaluate((cell) => getComputedStyle(cell, "::after").borderTopWidth);
  expect([await ring(0), await ring(1)]).toEqual(["0px", "3px"]); // over the picture, which covers an outline
  await page.keyboard.press("Space");
  await expect(cells.nth(1)).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Escape");
  await expect(cells.nth(1)).toHaveAttribute("aria-selected", "false");

  const opened = await cells.nth(1).getAttribute("data-image");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/gallery/${opened}`));
  await expect(page.getByRole("complementary", { name: "Recipe" })).toBeVisible(); // the address is there before the view
  await page.keyboard.press("ArrowRight");
  await expect(page).not.toHaveURL(new RegExp(`/gallery/${opened}`));
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/gallery$/);

  await cells.first().focus();
  const gone = await cells.first().getAttribute("data-image");
  await page.keyboard.press("Delete");
  await expect(cells).toHaveCount(7);
  await expect(cells.first()).toBeFocused();
  await page.getByRole("button", { name: "Undo" }).press("Enter");
  await expect(cells).toHaveCount(8);
  await expect(cells.first()).toHaveAttribute("data-image", gone ?? "");
  await expect(cells.nth(1)).toBeFocused(); // where it was
});

test("search by words of the prompt, in the address", async ({ page }) => {
  await page.route(/\/thumbnail$/, () => undefined); // none ever comes
  const letGo = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/thumbnail"));
  await page.goto("/gallery");
  await expect(page.getByRole("option")).toHaveCount(8);
  await page.getByRole("searchbox").fill("rabbit");
  await expect(page).toHaveURL(/q=rabbit/);
  await expect(page.getByRole("option")).toHaveCount(4);
  await letGo; // nobody waits for pictures that are not shown any more
  await page.unroute(/\/thumbnail$/);
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

test("pictures are marked by keyboard, found by it again, and another tab sees it", async ({ page, context }) => {
  await page.goto("/gallery");
  const other = await context.newPage();
  await other.goto("/gallery");
  const cells = page.getByRole("option");
  await expect(other.getByRole("option")).toHaveCount(8);
  await cells.first().focus();
  await page.keyboard.press("f");
  await page.keyboard.press("4");
  await expect(other.getByRole("option", { name: /favourite, 4 stars/ })).toHaveCount(1);
  await other.close();
  await page.keyboard.press("t");
  await page.getByRole("dialog").getByRole("combobox", { name: "Add a tag" }).fill("Snowy, cold,");
  await expect(page.getByRole("button", { name: "Take “cold” off" })).toBeVisible();
  await accessible(page);
  await page.getByRole("button", { name: "Done" }).click();

  await page.getByRole("button", { name: "Tag", exact: true }).click();
  await page.getByRole("menuitem", { name: /snowy/ }).click();
  await expect(page).toHaveURL(/tag=/);
  await expect(cells).toHaveCount(1);
  await page.getByRole("button", { name: "Stars" }).click();
  await page.getByRole("menuitem", { name: "5 stars and more" }).click();
  await expect(page.getByText("No picture is like this")).toBeVisible();
  await page.goBack();
  await expect(cells).toHaveCount(1);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await expect(cells).toHaveCount(8);
});

test("a collection is made, filled, renamed, left and deleted", async ({ page }) => {
  await page.goto("/gallery?q=wolf");
  const cells = page.getByRole("option");
  await cells.first().click({ modifiers: ["Control"] });
  await cells.nth(1).click();
  await page.getByRole("toolbar").getByRole("button", { name: "Add to collection" }).click();
  await page.getByRole("menuitem", { name: "New collection" }).click();
  await page.getByLabel("Name").fill("Wolves");
  await page.getByRole("button", { name: "Create" }).click();
  const shelf = page.getByRole("navigation", { name: "Collections" });
  await expect(shelf.getByRole("link", { name: "Wolves 2" })).toBeVisible();
  await shelf.getByRole("link", { name: "Wolves 2" }).click();
  await expect(cells).toHaveCount(2);
  await accessible(page);
  await page.getByRole("button", { name: "Menu of “Wolves”" }).click();
  await page.getByRole("menuitem", { name: "Delete collection" }).click();
  await expect(page.getByRole("dialog")).toContainText("Its 2 pictures stay in the gallery.");
  await page.getByRole("dialog").getByRole("button", { name: "Delete collection" }).click();
  await expect(shelf.getByRole("link", { name: /Wolves/ })).toHaveCount(0);
  await expect(cells).toHaveCount(4);
});

test("two pictures are compared at the same zoom, and what differs is said", async ({ page }) => {
  await page.goto("/gallery?q=wolf");
  const cells = page.getByRole("option");
  await cells.first().click({ modifiers: ["Control"] });
  await cells.nth(1).click();
  await page.getByRole("toolbar").getByRole("link", { name: "Compare" }).click();
  const dialog = page.getByRole("dialog", { name: "Two pictures compared" });
  await expect(dialog.getByRole("rowheader", { name: /Seed/ })).toBeVisible();
  const pictures = dialog.locator("img[data-view]");
  await expect(pictures).toHaveCount(2);
  await dialog.getByRole("button", { name: "Zoom in" }).click();
  const views = await pictures.evaluateAll((all) => all.map((one) => one.getAttribute("data-view")));
  expect(views[0]).toBe(views[1]);
  expect(views[0]).toMatch(/^1\.40/);
  await dialog.getByRole("radio", { name: "Overlaid" }).click();
  await dialog.getByRole("slider", { name: "Where the first ends" }).press("ArrowRight");
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/gallery\?q=wolf$/);
});

test("stars, tags and a note are kept beside the recipe; on a phone too", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/gallery?q=rabbit");
  await page.getByRole("option").first().click();
  const dialog = page.getByRole("dialog");
  const rating = dialog.getByRole("slider", { name: "Rating" });
  await rating.press("Home"); // whatever a test before this one thought of it
  await expect(rating).toHaveAttribute("aria-valuenow", "0");
  await rating.press("ArrowRight");
  await expect(rating).toHaveAttribute("aria-valuenow", "1");
  const kept = page.waitForResponse((answer) => answer.request().method() === "PATCH" && (answer.request().postData() ?? "").includes("for the wall"));
  await dialog.getByLabel("Note", { exact: true }).fill("for the wall");
  await dialog.getByRole("combobox", { name: "Add a tag" }).fill("soft");
  await dialog.getByRole("combobox", { name: "Add a tag" }).press("Enter");
  await expect(dialog.getByRole("button", { name: "Take “soft” off" })).toBeVisible();
  await fits(page);
  await accessible(page);
  await kept;
  await page.reload();
  await expect(dialog.getByLabel("Note", { exact: true })).toHaveValue("for the wall");
  await expect(rating).toHaveAttribute("aria-valuenow", "1");
});

test("several come as one archive, and the trash is emptied after a question", async ({ page }) => {
  await page.goto("/gallery?q=rabbit");
  const cells = page.getByRole("option");
  await cells.nth(2).click({ modifiers: ["Control"] });
  await cells.nth(3).click();
  const download = page.waitForEvent("download");
  await page.getByRole("toolbar").getByRole("button", { name: "Download" }).click();
  expect((await download).suggestedFilename()).toMatch(/^atelier-.*-2\.zip$/);
  await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
  await expect(cells).toHaveCount(2);
  await page.getByRole("button", { name: "Storage" }).click();
  const dialog = page.getByRole("dialog", { name: "Storage" });
  await expect(dialog.getByText("2 pictures in the trash")).toBeVisible();
  await accessible(page);
  await dialog.getByRole("button", { name: "Empty trash" }).click();
  await dialog.getByRole("button", { name: "Delete for good" }).click();
  await expect(dialog.getByText("0 pictures in the trash")).toBeVisible();
});

test("a grid is asked for from a picture, and its sheet is a picture of the gallery", async ({ page, server }) => {
  await page.goto("/gallery?q=wolf");
  await page.getByRole("option").first().click();
  await page.getByRole("button", { name: "Make a grid" }).click();
  const dialog = page.getByRole("dialog", { name: "Make a grid" });
  await dialog.getByLabel("Values").first().fill("1, 201");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await expect(dialog.getByText(/^201: /)).toBeVisible();
  await dialog.getByLabel("Values").first().fill("1-2");
  await dialog.getByRole("checkbox", { name: "Start from this picture" }).check();
  await expect(dialog.getByRole("textbox", { name: "How much may change" })).toHaveValue("0.6");
  await dialog.getByRole("combobox", { name: "Along the rows" }).click();
  await page.getByRole("option", { name: "How much may change" }).click();
  await expect(dialog.getByRole("textbox", { name: "How much may change" })).toHaveCount(0);
  await expect(dialog.getByText(/^6 pictures and a sheet, about \d+ s$/)).toBeVisible();
  await accessible(page);
  await dialog.getByRole("button", { name: "Make it" }).click();
  // The picture's view is still open beneath: what lies outside it is told to no screen reader meanwhile.
  await page.locator("button", { hasText: "Follow" }).click();
  await page.waitForURL(/jobs\/job_/);
  const id = page.url().split("/").at(-1) ?? "";
  const grid = await server.ended(id, 100);
  expect(grid.request).toMatchObject({ y: { field: "strength", values: [0.3, 0.5, 0.7] }, start: { image: grid.images[0]?.parent_id } });
  await page.goto("/gallery?q=wolf");
  await expect(page.getByRole("option")).toHaveCount(11);
});

test("Undo is read out and reached by keyboard in front of every dialog", async ({ page, server }) => {
  await server.ended(await server.generate("a barn owl", { num_outputs: 2, steps: 1 }));
  const undo = page.getByRole("button", { name: "Undo" });
  const within = (dialog: string | RegExp) => page.getByRole("dialog", { name: dialog }).getByRole("log").getByRole("button", { name: "Undo" });
  await page.goto("/gallery?q=barn");
  const cells = page.getByRole("option");
  await expect(cells).toHaveCount(2);
  await cells.first().focus();
  await page.keyboard.press("Delete");
  await undo.hover(); // while it is pointed at, it stays
  await page.keyboard.press("Control+k");
  await expect(within("Command palette")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.keyboard.press("?");
  await expect(within("Keyboard shortcuts")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(undo).toBeVisible();
  await undo.press("Enter");
  await expect(cells).toHaveCount(2);

  await cells.first().click();
  await page.getByRole("button", { name: "Make a grid" }).click();
  const grid = page.getByRole("dialog", { name: /grid/i });
  await expect(grid).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(grid).toHaveCount(0);
  await page.keyboard.press("Delete");
  await expect(within("a barn owl")).toBeVisible();
  const reached = () => undo.evaluate((button) => button === document.activeElement);
  for (let key = 0; key < 60 && !(await reached()); key++) await page.keyboard.press("Shift+Tab"); // backwards: the last of the view
  expect(await reached()).toBe(true);
  await accessible(page);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await expect(cells).toHaveCount(2);
});

test("Ctrl A selects what is not on screen yet as well, and End goes to the very last", async ({ page, server }) => {
  const ids = await Promise.all(Array.from({ length: 14 }, () => server.generate("a herd of sheep", { num_outputs: 8, steps: 1 })));
  for (const id of ids) await server.ended(id, 100);
  // The next page does not come: what is done to all does not wait for it.
  let letPass = () => {};
  const passes = new Promise<void>((resolve) => (letPass = resolve));
  await page.route((url) => url.pathname === "/api/gallery" && url.searchParams.has("cursor"), async (route) => {
    await passes;
    await route.continue();
  });
  await page.goto("/gallery?q=herd");
  const cells = page.getByRole("option");
  await cells.first().focus();
  await page.keyboard.press("Control+a");
  await expect(page.getByRole("toolbar", { name: "112 selected" })).toBeVisible();
  await page.keyboard.press("5");
  const rated = async () => ((await (await page.request.get("/api/gallery/marks?q=herd&rating=5")).json()) as { items: unknown[] }).items.length;
  await expect.poll(rated).toBe(112);
  await page.keyboard.press("Delete");
  await expect(page.getByText("112 pictures deleted")).toBeVisible();
  letPass();
  await expect(cells).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(rated).toBe(112);
  await page.reload();
  await cells.first().focus();
  await page.keyboard.press("End");
  const last = ((await (await page.request.get("/api/gallery/marks?q=herd&sort=oldest&limit=1")).json()) as { items: { id: string }[] }).items[0]?.id;
  await expect(page.locator(`[data-image="${last}"]`)).toBeFocused();
});
