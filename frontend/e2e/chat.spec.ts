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
  await addChatModel(server, "small", "Qwen3ForCausalLM", 128);
  await addChatModel(server, "roomy", "Qwen3ForCausalLM", 16_384);
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
  await expect(page.getByText("Stopped.", { exact: true })).toBeVisible();
  await expect(box(page)).toBeFocused();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit" }).fill("quickly fake:tokens=5");
  await page.getByRole("button", { name: "Send anew" }).click();
  await expect(figures(page)).toContainText("5 tokens");
  await page.getByRole("button", { name: "Answer again" }).click();
  await expect(answers(page).getByRole("group", { name: "Versions" })).toContainText("2/2");
  const question = page.getByRole("article", { name: "Your message" });
  await expect(question.getByRole("button", { name: "Previous version" })).toBeEnabled();
  await question.getByRole("button", { name: "Previous version" }).click();
  await expect(page.getByText("Stopped.", { exact: true })).toBeVisible();
});

test("a picture goes along, and one of the gallery is described", async ({ page, server }) => {
  await page.goto("/chat?model=echo");
  await page.locator("input[type=file][multiple]").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png(24, 16) });
  await box(page).fill("what is on it?");
  await expect(page.locator("[data-obstacle]")).toContainText("echo does not see pictures.");
  await expect(page.getByRole("button", { name: "Send", exact: true })).toBeDisabled();
  await page.getByRole("button", { name: "Ask seer" }).click();
  await expect(page.locator("[data-obstacle]")).toHaveCount(0);
  await box(page).press("Enter");
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
  await answers(page).getByRole("button", { name: "Make a picture of this" }).click(); // the question has one too, and has it sooner
  await expect(page.getByLabel("What should it show?")).toHaveValue(/I see 1 picture/);
  await page.getByRole("link", { name: "Back to the conversation" }).click();
  await page.getByRole("article", { name: "Your message" }).getByRole("link", { name: "an owl to describe" }).click();
  await page.getByRole("link", { name: "Describe this picture." }).click();
  await expect(answers(page)).toContainText("I see 1 picture");
});

test("pasted and too large it is made smaller; a camera that is not to be had is explained", async ({ page }) => {
  await page.goto("/chat?model=seer");
  await box(page).focus();
  await page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2600, 1300];
    const pen = canvas.getContext("2d");
    for (let at = 0; pen && at < 30_000; at++) {
      pen.fillStyle = `hsl(${(at * 47) % 360} 80% 50%)`;
      pen.fillRect((at * 7919) % 2600, (at * 104_729) % 1300, 9, 9);
    }
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    const data = new DataTransfer();
    if (blob) data.items.add(new File([blob], "large.jpg", { type: "image/jpeg" }));
    document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await ask(page, "and this?");
  await expect(page.getByRole("article", { name: "Your message" }).getByRole("img", { name: "Picture" })).toHaveJSProperty("naturalWidth", 2048);
  await page.getByRole("button", { name: "Take a picture" }).click();
  const dialog = page.getByRole("dialog", { name: "Take a picture" });
  await expect(dialog.getByRole("alert")).toContainText(/camera/);
  await expect(dialog.getByRole("button", { name: "Choose a file" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
});

test("a full context is said before anything fails, and the oldest can be left out", async ({ page }) => {
  // Who is faster than the list of models is not lost: it is sent once they are known.
  await page.route(/\/api\/models\//, async (route) => {
    await new Promise((next) => setTimeout(next, 1500));
    await route.continue();
  });
  await page.goto("/chat?model=small");
  await box(page).fill(`${"word ".repeat(40)}fake:tokens=3`);
  await box(page).press("Enter");
  await expect(figures(page)).toContainText("3 tokens");
  await expect(page.locator("[data-context]")).toHaveText("44 of 128 tokens");
  await box(page).fill("more ".repeat(60));
  await expect(page.locator("[data-obstacle]")).toContainText("The model's context is full");
  await box(page).press("Enter");
  await expect(answers(page)).toHaveCount(1);
  await page.getByRole("button", { name: "Leave out the oldest" }).click();
  await expect(page.locator("[data-obstacle]")).toHaveCount(0);
  await box(page).press("Enter");
  await expect(figures(page).last()).toContainText("without the 2 oldest messages");
});

test("of a long conversation only what is near the window exists; reading above, it stays where it is", async ({ page, server }) => {
  const messages = Array.from({ length: 400 }, (_, at) => ({ id: `m${at}`, parent_id: at ? `m${at - 1}` : null, role: at % 2 ? "assistant" : "user", model: at % 2 ? "roomy" : null, content: at % 2 ? `**Answer ${at}**\n\n${"words of it ".repeat(at % 12)}` : `question ${at}`, created_at: "2026-01-01T00:00:00Z" }));
  const made = (await (await fetch(`${server.url}/api/chat/conversations/import`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ format: "atelier.conversation", version: 1, title: "long", model: "roomy", messages }) })).json()) as { id: string };
  await page.goto(`/chat/${made.id}`);
  await expect(page.getByText("Answer 399")).toBeInViewport();
  expect(await page.getByRole("article").count()).toBeLessThan(60);
  await ask(page, "go on fake:tokens=60 fake:delay_ms=60");
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  await expect(answers(page).last()).not.toContainText("Answer 399");
  await expect(answers(page).last()).toContainText(/\w+ \w+ \w+/);
  await page.mouse.move(700, 300);
  await page.mouse.wheel(0, -5000);
  await expect(page.getByText("Answer 399")).not.toBeInViewport();
  await page.waitForTimeout(300);
  const [first] = await page.getByText(/^question \d+$/).all();
  const place = async () => Math.round((await first?.boundingBox())?.y ?? Number.NaN);
  const before = await place();
  await page.waitForTimeout(1500);
  expect(await place()).toBe(before);
  await page.getByRole("button", { name: "To the end" }).click();
  await expect(page.getByText("go on fake:tokens=60")).toBeInViewport();
  await page.mouse.wheel(0, -500_000);
  await expect(page.getByText("question 0", { exact: true })).toBeInViewport();
  // What is not in the page is found all the same, and marked once it is there.
  const marked = () => page.evaluate(() => [...(CSS.highlights.get("chat-found-now") ?? [])].map(String).join());
  const find = page.getByRole("search").getByRole("textbox");
  await page.keyboard.press("Control+f");
  await find.fill("answer 37");
  for (const [key, place, words] of [[null, "1 of 6", "Answer 37"], ["Enter", "2 of 6", "Answer 371"], ["Shift+Enter", "1 of 6", "Answer 37"], ["Shift+Enter", "6 of 6", "Answer 379"]] as const) {
    if (key) await find.press(key);
    await expect(page.getByRole("search").getByRole("status")).toHaveText(place);
    await expect(page.getByText(words, { exact: true })).toBeInViewport();
    await expect.poll(marked).toBe("Answer 37");
  }
  await find.press("Escape");
  await expect(page.getByRole("search")).toHaveCount(0);
  await expect(box(page)).toBeFocused();
  expect(await marked()).toBe("");
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
  // Both in one look: the list may still be moving to its end.
  const sides = () =>
    page.evaluate(() => {
      const corner = (side: string) => document.querySelector(`[data-side=${side}]`)?.getBoundingClientRect();
      return [corner("left"), corner("right")].map((box) => ({ x: box?.x, y: box?.y }));
    });
  const [left, right] = await sides();
  expect(left?.y).toBeDefined();
  expect(left?.y).toBe(right?.y);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect.poll(async () => new Set((await sides()).map(({ x }) => x)).size).toBe(1);
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
