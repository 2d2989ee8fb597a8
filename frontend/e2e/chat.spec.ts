import type { Page } from "@playwright/test";

import { expect, fits, test } from "./fixtures";
import { png } from "./png";
import { addChatModel } from "./weights";

const box = (page: Page) => page.getByLabel("Message", { exact: true });
const answers = (page: Page) => page.getByRole("article", { name: /^Answer of/ });
const figures = (page: Page) => page.locator("[data-figures]");

async function ask(page: Page, words: string): Promise<void> {
  await expect(page.getByRole("button", { name: /^Model: (?!No model to ask)/ }).first()).toBeVisible(); // the models are known
  await box(page).fill(words);
  await box(page).press("Enter");
}

test.beforeAll(async ({ server }) => {
  await addChatModel(server, "echo");
  await addChatModel(server, "seer", "Qwen3VLForConditionalGeneration");
});

test("asked, streamed, kept, found", async ({ page }) => {
  await page.goto("/chat");
  await ask(page, "Name a red dragon fake:tokens=30 fake:delay_ms=40");
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  await expect(page).toHaveURL(/\/chat\/cnv_/);
  await expect(answers(page)).toContainText(/\w+ \w+ \w+/);
  await expect(figures(page)).toContainText("30 tokens");
  await expect(figures(page)).toContainText("tokens/s");
  await page.reload();
  await expect(figures(page)).toContainText("30 tokens");
  await page.getByLabel("Search conversations").fill("red drag");
  await expect(page.getByRole("list", { name: "Conversations" }).getByRole("link")).toHaveCount(1);
  await page.getByLabel("Search conversations").fill("blue whale");
  await expect(page.getByText("Nothing says “blue whale”.")).toBeVisible();
});

test("an answer goes on while nobody looks, and a reload finds it growing", async ({ page }) => {
  await page.goto("/chat");
  await ask(page, "tell me more fake:tokens=80 fake:delay_ms=100");
  await expect(answers(page)).toContainText(/\w+ \w+ \w+/);
  await page.reload();
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  await expect(answers(page)).toContainText(/\w+ \w+ \w+/);
  const conversation = `/api${new URL(page.url()).pathname.replace("/chat/", "/chat/conversations/")}`;
  await page.goto("/jobs");
  const state = async () => ((await (await page.request.get(conversation)).json()) as { messages: { state: string }[] }).messages.at(-1)?.state;
  await expect.poll(state).toBe("complete");
  await page.goBack();
  await expect(figures(page)).toContainText("80 tokens");
});

test("stopped, answered again, said differently: nothing is lost", async ({ page }) => {
  await page.goto("/chat");
  await ask(page, "slowly fake:tokens=99 fake:delay_ms=100");
  await expect(answers(page)).toContainText(/\w+ \w+/);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit" }).fill("quickly fake:tokens=5");
  await page.getByRole("button", { name: "Send anew" }).click();
  await expect(figures(page)).toContainText("5 tokens");
  await page.getByRole("button", { name: "Answer again" }).click();
  await expect(answers(page).getByRole("group", { name: "Versions" })).toContainText("2/2");
  const question = page.getByRole("article", { name: "Your message" });
  await expect(question.getByRole("button", { name: "Previous version" })).toBeEnabled();
  await question.getByRole("button", { name: "Previous version" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible();
});

test("a picture goes along, and one of the gallery is described", async ({ page, server }) => {
  await page.goto("/chat?model=seer");
  await page.locator("input[type=file][multiple]").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(24, 16) });
  await ask(page, "what is on it?");
  await expect(answers(page)).toContainText("I see 1 picture");
  await expect(page.getByRole("article", { name: "Your message" }).getByRole("img", { name: "Picture" })).toHaveJSProperty("naturalWidth", 24);
  const job = await server.ended(await server.generate("an owl to describe"));
  await page.goto(`/gallery/${job.images[0]?.id}`);
  await page.getByRole("button", { name: "More with this picture" }).click();
  await page.getByRole("menuitem", { name: "Describe this picture" }).click();
  await expect(box(page)).toHaveValue("Describe this picture.");
  await expect(page.getByRole("button", { name: "Remove the picture" })).toBeVisible();
  await box(page).press("Enter");
  await expect(answers(page)).toContainText("I see 1 picture");
  await page.getByRole("button", { name: "Make a picture of this" }).last().click();
  await expect(page.getByLabel("What should it show?")).toHaveValue(/I see 1 picture/);
});

test("two models side by side, on a phone one below the other", async ({ page }) => {
  await page.goto("/chat?model=echo");
  await page.getByRole("button", { name: "Compare with another model" }).click();
  await page.getByRole("menuitem", { name: "seer" }).click();
  await ask(page, "hello both");
  await expect(figures(page)).toHaveCount(2);
  await expect(page.getByRole("article", { name: "Your message" })).toHaveCount(1);
  await expect(page.getByRole("article", { name: "Answer of seer" })).toBeVisible();
  await ask(page, "and again");
  await expect(figures(page)).toHaveCount(4);
  const place = async (side: string) => (await page.locator(`[data-side=${side}]`).first().boundingBox()) ?? { x: 0, y: 0 };
  expect((await place("left")).y).toBe((await place("right")).y);
  await page.setViewportSize({ width: 390, height: 844 });
  expect((await place("left")).x).toBe((await place("right")).x);
  await fits(page);
});

test("renamed, exported, imported, deleted and taken back", async ({ page }) => {
  await page.goto("/chat");
  await ask(page, "to be exported fake:tokens=3");
  await expect(figures(page)).toContainText("3 tokens");
  const list = page.getByRole("list", { name: "Conversations" });
  await list.getByRole("link", { name: "to be exported" }).press("F2");
  await page.getByRole("textbox", { name: "Rename" }).fill("A better name");
  await page.keyboard.press("Enter");
  await expect(list.getByRole("link", { name: "A better name" })).toBeVisible();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "More", exact: true }).last().click();
  await page.getByRole("menuitem", { name: "Save as JSON" }).click();
  const file = await (await saved).path();
  await list.getByRole("link", { name: "A better name" }).press("Delete");
  await expect(list.getByRole("link", { name: "A better name" })).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(list.getByRole("link", { name: "A better name" })).toHaveCount(1);
  await page.locator("input[type=file][accept*=json]").setInputFiles(file);
  await expect(list.getByRole("link", { name: "A better name" })).toHaveCount(2);
  await expect(figures(page)).toContainText("3 tokens");
});

test("a server that goes away keeps what was said", async ({ page, server }) => {
  await page.goto("/chat");
  await ask(page, "long one fake:tokens=200 fake:delay_ms=100");
  await expect(answers(page)).toContainText(/\w+ \w+ \w+/);
  await page.waitForTimeout(1500);
  await server.kill();
  await server.resume();
  await expect(page.getByText("The server was stopped before the answer came to its end.")).toBeVisible();
  await expect(answers(page)).toContainText(/\w+ \w+ \w+/);
  await page.getByRole("button", { name: "Answer again" }).click();
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
});
