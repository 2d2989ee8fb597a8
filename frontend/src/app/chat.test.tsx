import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { addConversation } from "@/api/generated/sdk.gen";
import { keys } from "@/api/keys";
import { queryClient } from "@/app/services";
import { MockAtelier } from "@/mocks/atelier";
import { open } from "@/mocks/install";

const user = userEvent.setup({ delay: null });
const slow = { timeout: 20_000 };
const box = () => screen.findByLabelText("Message", {}, slow);
const answers = () => screen.findAllByRole("article", { name: /^Answer of/ }, slow);

async function ask(words: string) {
  await user.click(await box());
  await user.paste(words);
  await user.keyboard("{Enter}");
}

const start = () => open("/chat", { zoo: true });

describe("Chat", () => {
  it("teaches when nothing was said, and an example fills the composer", async () => {
    await start();
    await user.click(await screen.findByRole("button", { name: /red dragon/ }, slow));
    expect(await box()).toHaveValue("Name a red dragon with wings.");
  });

  it("answers, gets an address and a name in the list, and says its figures", async () => {
    await start();
    await ask("hello there");
    expect(await screen.findByText("You said: hello there", {}, slow)).toBeVisible();
    await waitFor(() => expect(window.location.pathname).toMatch(/^\/chat\/cnv_/), slow);
    expect(await screen.findByText(/37 tokens\/s · first after 0.24 s · 62 tokens/, {}, slow)).toBeVisible();
    expect(within(screen.getByRole("list", { name: "Conversations" })).getByRole("link", { name: "hello there" })).toHaveAttribute("aria-current", "page");
    expect(await box()).toHaveValue("");
  });

  it("stops: what is there stays, and nothing is sent meanwhile", async () => {
    await start();
    await ask("slow one");
    await user.click(await screen.findByRole("button", { name: "Stop" }, slow));
    expect(await screen.findByText("Stopped.", {}, slow)).toBeVisible();
    expect(screen.getByRole("button", { name: "Send" })).toBeDisabled();
  });

  it("answers again beside the first answer, and goes back to it", async () => {
    await start();
    await ask("hello");
    const again = await screen.findByRole("button", { name: "Answer again" }, slow);
    await waitFor(() => expect(again).toBeEnabled(), slow);
    await user.click(again);
    expect(await screen.findByText("2/2", {}, slow)).toBeVisible();
    await waitFor(() => expect(screen.getByRole("button", { name: "Previous version" })).toBeEnabled(), slow);
    await user.click(screen.getByRole("button", { name: "Previous version" }));
    expect(await screen.findByText("1/2", {}, slow)).toBeVisible();
  });

  it("says something differently: another branch, the first one kept", async () => {
    const atelier = await start();
    await ask("first words");
    await screen.findByText(/37 tokens/, {}, slow);
    await user.click(screen.getByRole("button", { name: "Edit" }));
    const field = screen.getByLabelText("Edit", { selector: "textarea" });
    await user.clear(field);
    await user.type(field, "other words");
    await user.click(screen.getByRole("button", { name: "Send anew" }));
    expect(await screen.findByText("You said: other words", {}, slow)).toBeVisible();
    const [kept] = [...atelier.chats.kept.values()];
    expect(kept?.messages.filter((one) => one.role === "user").map((one) => [one.content, one.parent_id])).toEqual([["first words", null], ["other words", null]]);
    // What is not accepted is said, and stays to be changed.
    await user.click(await screen.findByRole("button", { name: "Edit" }, slow));
    await user.clear(screen.getByLabelText("Edit", { selector: "textarea" }));
    await user.keyboard("refuse");
    await user.click(screen.getByRole("button", { name: "Send anew" }));
    expect(await screen.findByText(/The answer before this still grows/, {}, slow)).toBeVisible();
    expect(screen.getByLabelText("Edit", { selector: "textarea" })).toHaveValue("refuse");
  });

  it("folds the reasoning, and shows what a model wants to call", async () => {
    await start();
    await ask("think, then use a tool");
    const thought = await screen.findByRole("button", { name: "Thought for 3 s" }, slow);
    expect(screen.queryByText("Let me think about this.")).toBeNull();
    await user.click(thought);
    expect(await screen.findByText("Let me think about this.")).toBeInTheDocument();
    const call = screen.getByRole("group", { name: "Call of make_picture" });
    await user.click(within(call).getByRole("button", { name: "Give its result" }));
    await user.type(within(call).getByLabelText("Result"), "done");
    await user.click(within(call).getByRole("button", { name: "Send the result" }));
    expect(await screen.findByText("You said: done", {}, slow)).toBeVisible();
  });

  it("says why an answer failed, and tries again", async () => {
    await start();
    await ask("fail please");
    const alert = await screen.findByRole("alert", {}, slow);
    expect(alert).toHaveTextContent("The answer did not come to its end");
    await user.click(within(alert).getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("2/2", {}, slow)).toBeVisible();
  });

  it("keeps what was written when it is not accepted", async () => {
    await start();
    await ask("refuse");
    expect(await screen.findByText("The answer before this still grows.", {}, slow)).toBeVisible();
    expect(await box()).toHaveValue("refuse");
  });

  it("draws Markdown, and copies what stands in code", async () => {
    await start();
    await ask("markdown");
    expect(await screen.findByText("what you asked for", { selector: "strong" }, slow)).toBeVisible();
    expect(await screen.findByText("hello", { selector: ".hljs-title" }, slow)).toBeVisible();
    await waitFor(() => expect(document.querySelector(".katex")).not.toBeNull(), slow);
    // Nothing is fetched from elsewhere unasked, and no address runs anything.
    for (const name of ["a link", "a picture"]) expect(screen.getByRole("link", { name })).toHaveAttribute("rel", "noopener noreferrer nofollow");
    expect(screen.queryByRole("link", { name: "no link" })).toBeNull();
    expect(document.querySelector("article img")).toBeNull();
  });

  it("asks a LoRA by its own name, and says whose it is", async () => {
    const atelier = await start();
    await user.click(await screen.findByRole("button", { name: /^Model: / }, slow));
    await user.click(await screen.findByRole("menuitem", { name: /Pirate talk.*LoRA on SmolLM3 3B/ }, slow));
    await ask("ahoy");
    expect(await screen.findByText("You said: ahoy", {}, slow)).toBeVisible();
    expect(screen.getByRole("article", { name: "Answer of Pirate talk" })).toBeVisible();
    expect([...atelier.chats.kept.values()][0]?.messages.at(-1)?.model).toBe("smol-pirate");
  });

  it("asks two models the same", async () => {
    const atelier = await start();
    await user.click(await screen.findByRole("button", { name: "Compare with another model" }, slow));
    await user.click((await screen.findAllByRole("menuitem", {}, slow))[0] as HTMLElement);
    await ask("hello both");
    await waitFor(async () => expect(await answers()).toHaveLength(2), slow);
    expect(screen.getAllByRole("article", { name: "Your message" })).toHaveLength(1);
    expect([...atelier.chats.kept.values()].map((one) => one.conversation.beside_of)).toEqual([null, "cnv_0001"]);
    await waitFor(() => expect(screen.queryByRole("button", { name: "Stop" })).toBeNull(), slow);
    await ask("and again");
    await waitFor(async () => expect(await answers()).toHaveLength(4), slow);
  });

  it("asks both differently when a shared question is edited", async () => {
    const atelier = await start();
    await user.click(await screen.findByRole("button", { name: "Compare with another model" }, slow));
    await user.click((await screen.findAllByRole("menuitem", {}, slow))[0] as HTMLElement);
    await ask("hello both");
    await waitFor(async () => expect(await answers()).toHaveLength(2), slow);
    await waitFor(() => expect(screen.queryByRole("button", { name: "Stop" })).toBeNull(), slow);
    await user.click(await box());
    await user.keyboard("{ArrowUp}");
    const field = screen.getByLabelText("Edit", { selector: "textarea" });
    expect(field).toHaveValue("hello both");
    await user.clear(field);
    await user.type(field, "other words");
    await user.click(screen.getByRole("button", { name: "Send anew" }));
    await waitFor(() => expect(screen.getAllByText("You said: other words")).toHaveLength(2), slow);
    expect(screen.getAllByRole("article", { name: "Your message" })).toHaveLength(1);
    for (const { messages } of atelier.chats.kept.values()) expect(messages.filter((one) => one.role === "user").map((one) => one.content)).toEqual(["hello both", "other words"]);
    await waitFor(() => expect(screen.getByRole("button", { name: "Previous version" })).toBeEnabled(), slow);
    await user.click(screen.getByRole("button", { name: "Previous version" }));
    await waitFor(() => expect(screen.getAllByText("You said: hello both")).toHaveLength(2), slow);
  });

  it("tells when an answer begins and ends, and stops at Escape wherever the focus is", async () => {
    await start();
    await ask("slow one");
    await waitFor(() => expect(document.querySelector("[data-announcer]")).toHaveTextContent(/ answers\.$/), slow);
    screen.getByLabelText("Search conversations").focus();
    await user.keyboard("{Escape}");
    expect(await screen.findByText("Stopped.", {}, slow)).toBeVisible();
    await waitFor(() => expect(document.querySelector("[data-announcer]")).toHaveTextContent(/was stopped\.$/), slow);
  });

  it("deletes at once, and takes it back", async () => {
    await start();
    await ask("to be deleted");
    await screen.findByText(/37 tokens/, {}, slow);
    const list = screen.getByRole("list", { name: "Conversations" });
    within(list).getByRole("link", { name: "to be deleted" }).focus();
    await user.keyboard("{Delete}");
    await waitFor(() => expect(within(list).queryByRole("link", { name: "to be deleted" })).toBeNull());
    await user.click(await screen.findByRole("button", { name: "Undo" }, slow));
    expect(await within(list).findByRole("link", { name: "to be deleted" }, slow)).toBeVisible();
  });

  it("keeps the place in the list when a conversation goes or is renamed", async () => {
    await start();
    for (const title of ["one", "two", "three"]) await addConversation({ body: { title } });
    await queryClient.invalidateQueries({ queryKey: keys.chatLists });
    const links = () => [...document.querySelectorAll<HTMLElement>("a[data-conversation]")];
    await waitFor(() => expect(links()).toHaveLength(3), slow);
    links()[1]?.focus();
    await user.keyboard("{Delete}");
    await waitFor(() => expect(links()).toHaveLength(2), slow);
    await waitFor(() => expect(links()[1]).toHaveFocus(), slow);
    await user.keyboard("{F2}");
    await user.clear(screen.getByLabelText("Rename"));
    await user.keyboard("zwei{Enter}");
    const renamed = await screen.findByRole("link", { name: "zwei" }, slow);
    await waitFor(() => expect(renamed).toHaveFocus(), slow);
    await user.tab();
    await user.keyboard("{Enter}");
    await user.click(await screen.findByRole("menuitem", { name: "Delete" }, slow));
    await waitFor(() => expect(links()[0]).toHaveFocus(), slow);
  });

  it("sets a conversation up with a preset", async () => {
    const atelier = await start();
    await user.click(await screen.findByRole("button", { name: "Instructions and parameters" }, slow));
    await user.click(await screen.findByRole("button", { name: "Terse" }, slow));
    expect(screen.getByLabelText("System prompt")).toHaveValue("Answer in one sentence.");
    expect(screen.getByLabelText("Temperature")).toHaveValue("0.2");
    await user.type(screen.getByLabelText("Temperature"), "x");
    expect(screen.getByLabelText("Temperature")).toBeInvalid();
    await user.keyboard("{Escape}");
    await ask("hello");
    await screen.findByText(/37 tokens/, {}, slow);
    expect([...atelier.chats.kept.values()][0]?.conversation).toMatchObject({ system_prompt: "Answer in one sentence.", parameters: { temperature: 0.2 } });
  });

  it("keeps what is entered before models and conversation are known for that conversation", async () => {
    const atelier = await start();
    await box();
    const [a, b] = await Promise.all(["one", "other"].map(async (content) => (await addConversation({ body: { title: content, message: { content } } })).id));
    await waitFor(() => expect([...atelier.chats.kept.values()].flatMap(({ messages }) => messages).every(({ state }) => state === "complete")).toBe(true), slow);
    await queryClient.invalidateQueries({ queryKey: keys.chatLists });
    const list = within(screen.getByRole("list", { name: "Conversations" }));
    const visit = async (name: string) => user.click(await list.findByRole("link", { name }, slow));
    const said = (id = "") => atelier.chats.kept.get(id)?.messages.filter(({ role }) => role === "user").map(({ content }) => content);
    // Answers come when the gate opens.
    let open = () => {};
    const handle = MockAtelier.prototype.handle;
    const late = vi.spyOn(MockAtelier.prototype, "handle").mockImplementation(async function (this: MockAtelier, request) {
      if (request.method === "GET" && /\/api\/models\/$|conversations\/cnv_/.test(new URL(request.url).pathname)) await gate;
      return handle.call(this, request);
    });
    let gate = Promise.resolve();
    const shut = () => {
      gate = new Promise((done) => (open = done));
      queryClient.removeQueries({ queryKey: keys.chat(a ?? "") });
      void queryClient.resetQueries({ queryKey: keys.models });
    };
    await visit("other");
    await user.click(await box());
    await user.paste("not finished");
    shut();
    await visit("one");
    await ask("for one");
    await visit("other");
    open();
    await waitFor(async () => expect(await box()).toHaveValue("not finished"), slow);
    await waitFor(() => expect(screen.getByRole("button", { name: "Send" })).toBeEnabled(), slow);
    expect([said(a), said(b)]).toEqual([["one"], ["other"]]);
    shut();
    await visit("one");
    expect(await box()).toHaveValue("for one");
    await user.click(await box());
    await user.keyboard("{Enter}");
    open();
    await waitFor(() => expect(said(a)).toEqual(["one", "for one"]), slow);
    expect(atelier.chats.kept.size).toBe(2);
    late.mockRestore();
  });
});
