import { ask, expect, fits, prompt, run, settled, test } from "./fixtures";

test("from a prompt to a picture that survives the server", async ({ page, server }) => {
  await page.goto("/");
  await expect(page.locator("[data-connection=live]")).toBeVisible();
  await ask(page, "a red dragon with wings");
  const made = run(page, "a red dragon with wings");
  const picture = made.locator("[data-tile=image] img").last();
  await expect(picture).toHaveJSProperty("complete", true);

  await page.getByRole("navigation").getByRole("link", { name: "Gallery" }).click();
  const cell = page.getByRole("option", { name: "a red dragon with wings" });
  await expect(cell).toHaveCount(1);

  await server.kill();
  await expect(page.locator("[data-connection=live]")).toHaveCount(0);
  await expect(cell).toHaveCount(1);
  await server.resume();
  await expect(page.locator("[data-connection=live]")).toBeVisible();
  await page.reload();
  await expect(cell).toHaveCount(1);
});

test("every page opens while the server is away", async ({ page, server }) => {
  await page.goto("/");
  // Pages are fetched when nothing else is to do.
  await page.waitForFunction(() => {
    const fetched = performance.getEntriesByType("resource").filter((entry) => performance.now() - (entry as PerformanceResourceTiming).responseEnd > 300);
    return ["GalleryPage", "JobsPage", "SystemPage"].every((name) => fetched.some((entry) => entry.name.includes(name)));
  });
  await server.kill();
  for (const name of ["Gallery", "Jobs", "System", "Generate"]) {
    await page.getByRole("navigation").getByRole("link", { name }).click();
    await expect(page.getByRole("navigation").getByRole("link", { name })).toHaveAttribute("aria-current", "page");
  }
  await server.resume();
});

test("eight pictures at once, and their recipe", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("radio", { name: "8" }).click();
  await ask(page, "eight owls");
  const made = run(page, "eight owls");
  await expect(made.locator("[data-tile]")).toHaveCount(8);
  await expect(made.locator("[data-tile=image]")).toHaveCount(8);
  await made.getByRole("link", { name: /Picture 8/ }).click();
  await expect(page).toHaveURL(/\/gallery\/.+/);
  await expect(page.getByRole("complementary", { name: "Recipe" })).toContainText("eight owls");
  await page.goBack();
  await expect(prompt(page)).toHaveValue("eight owls");
});

test("a failure says why, what to do, and what to send to whoever helps", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/");
  await ask(page, "a whale fake:fail:out_of_memory");
  const failed = run(page, "a whale fake:fail:out_of_memory");
  await expect(failed.getByRole("alert")).toContainText("This did not work");
  await failed.getByRole("button", { name: "Copy details" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/out_of_memory[\s\S]*job /);
  await page.goto("/jobs?status=failed");
  await expect(page.getByRole("link", { name: "a whale fake:fail:out_of_memory" })).toBeVisible();
});

test("progress never goes backwards", async ({ page, server }) => {
  await page.goto("/");
  await settled(page);
  // Every value that the bar ever has, as the page itself sees it.
  const values = await page.evaluateHandle(() => {
    const seen: number[] = [];
    new MutationObserver(() => {
      const value = document.querySelector("article[aria-label='a slow snail'] [role=progressbar]")?.getAttribute("aria-valuenow");
      if (value && Number(value) !== seen.at(-1)) seen.push(Number(value));
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
    return seen;
  });
  await server.generate("a slow snail", { steps: 160 });
  await expect(page.getByRole("group", { name: "Earlier results" }).getByRole("link", { name: "a slow snail" })).toBeVisible();
  const seen = await values.jsonValue();
  expect(seen.length).toBeGreaterThan(3);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
});

test("a reload brings work under way back, and it can be stopped", async ({ page, server }) => {
  await page.goto("/");
  const id = await server.generate("a very long river", { steps: 200, num_outputs: 8 });
  await expect(run(page, "a very long river")).toBeVisible();
  await page.reload();
  await expect(run(page, "a very long river").getByText(/step \d+ of 1600/)).toBeVisible();
  await run(page, "a very long river").getByRole("button", { name: "Stop" }).click();
  expect((await server.ended(id)).status).toBe("cancelled");
  await expect(run(page, "a very long river")).toHaveCount(0);
});

test("fields are checked before anything is sent", async ({ page }) => {
  await page.goto("/");
  await prompt(page).press("Control+Enter");
  await expect(page.getByText("Write a prompt first.")).toBeVisible();
  await page.getByRole("textbox", { name: "Steps" }).fill("900");
  await ask(page, "never sent");
  await expect(page.getByText("A whole number from 1 to 200.")).toBeVisible();
  await expect(run(page, "never sent")).toHaveCount(0);
  await expect(page.getByRole("textbox", { name: "Steps" })).toBeFocused();
});

test("same settings, from a picture back to the form", async ({ page, server }) => {
  const done = await server.ended(await server.generate("a blue whale", { seed: 4242, steps: 12 }));
  await page.goto(`/gallery/${done.images[0]?.id}`);
  await page.getByRole("button", { name: "Same settings" }).click();
  await expect(prompt(page)).toHaveValue("a blue whale");
  await expect(page.getByRole("textbox", { name: "Seed" })).toHaveValue("4242");
  await expect(page.getByRole("textbox", { name: "Steps" })).toHaveValue("12");
  await expect(page).toHaveURL(/\/$/);
});

test("earlier pictures are one tab stop, with arrows along them", async ({ page, server }) => {
  await server.ended(await server.generate("a row of birds", { num_outputs: 4, steps: 1 }));
  await page.goto("/");
  const links = page.getByRole("group", { name: "Earlier results" }).getByRole("link");
  await expect(async () => expect(await links.count()).toBeGreaterThan(3)).toPass();
  const last = (await links.count()) - 1;
  await page.getByRole("link", { name: "All pictures" }).focus();
  await page.keyboard.press("Tab");
  await expect(links.nth(0)).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(links.nth(1)).toBeFocused();
  await page.keyboard.press("End");
  await expect(links.nth(last)).toBeFocused();
  await expect(links.nth(last)).toBeInViewport();
  await page.keyboard.press("ArrowRight");
  await expect(links.nth(last)).toBeFocused();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  await expect(links.nth(0)).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("group", { name: "Earlier results" }).locator(":focus")).toHaveCount(0);
  await page.keyboard.press("Shift+Tab");
  await expect(links.nth(1)).toBeFocused();
});

test("from the prompt it is a few keys to the number of pictures, however much was made before", async ({ page, server }) => {
  await server.ended(await server.generate("a shelf of jars", { num_outputs: 4, steps: 1 }));
  await page.goto("/");
  await settled(page);
  await ask(page, "a jar of plums");
  await expect(run(page, "a jar of plums").locator("[data-tile=image]")).toBeVisible();
  await prompt(page).focus();
  const count = page.getByRole("complementary", { name: "Settings" }).getByRole("radio", { name: "1", exact: true });
  const reached = () => count.evaluate((radio) => radio === document.activeElement);
  let keys = 0;
  for (; keys < 20 && !(await reached()); keys++) await page.keyboard.press("Tab");
  expect(keys).toBeLessThanOrEqual(9);
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "2", exact: true })).toBeChecked();
});

test("the seed keeps what was typed and says what it may be", async ({ page }) => {
  await page.goto("/");
  const seed = page.getByRole("textbox", { name: "Seed" });
  await seed.pressSequentially("forty");
  await expect(seed).toHaveValue("forty");
  await expect(seed).toHaveAccessibleDescription(/whole number from 0 to 4294967295/);
  await prompt(page).fill("a fox");
  await expect(seed).toHaveValue("forty");
  await prompt(page).press("Control+Enter");
  await expect(page.getByRole("article", { name: "a fox", exact: true })).toHaveCount(0);
  await page.getByRole("button", { name: "Roll a seed" }).click();
  await expect(seed).toHaveValue(/^\d+$/);
  await seed.fill("");
  await expect(seed).toHaveAccessibleDescription(/same picture again/);
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("everything fits and works", async ({ page }) => {
    for (const path of ["/", "/gallery", "/jobs", "/system"]) {
      await page.goto(path);
      await expect(page.locator("main > *").first()).toBeVisible();
      await fits(page);
    }
    await page.getByRole("navigation").getByRole("link", { name: "Generate" }).tap();
    await expect(page.getByText("Ctrl Enter")).toBeHidden();
    // What is wrong and folded away comes forth each time that it is sent.
    const settings = page.getByRole("button", { name: /^Settings/ });
    const steps = page.getByRole("textbox", { name: "Steps" });
    await prompt(page).fill("never sent");
    await settings.tap();
    await steps.fill("900");
    for (let time = 0; time < 2; time++) {
      await settings.tap();
      await expect(steps).toHaveCount(0);
      await page.getByRole("button", { name: "Generate" }).tap();
      await expect(steps).toBeFocused();
    }
    await steps.fill("20");
    await prompt(page).fill("a phone in a pocket");
    await page.getByRole("button", { name: "Generate" }).tap();
    await expect(run(page, "a phone in a pocket").locator("[data-tile=image]")).toHaveCount(1);
    await fits(page);
  });
});
