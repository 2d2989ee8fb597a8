/**
 * Conversations of the mock API: kept in memory, answered a few letters at a time.
 *
 * Questions that do something special: "slow …", "think …", "load …", "fail …", "tool …", "markdown …"; "refuse" is not accepted.
 */
import type { AnswerFrame, ChatParameters, ConversationDetailOut, ConversationOut, Event, SayIn, MessageOut, PresetOut, Problem, UsageList } from "@/api/types";

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
const refusal = (status: number, code: string, detail: string, said: Problem["said"] = null) =>
  new Response(JSON.stringify({ type: "about:blank", title: code, status, detail, code, errors: [], hint: "", said, request_id: "req_mock_01" } satisfies Problem), { status, headers: { "Content-Type": "application/problem+json" } });
const now = () => new Date().toISOString();

const MARKDOWN = "Here is **what you asked for**:\n\n1. a list\n2. with `code`\n\n```python\ndef hello(name: str) -> str:\n    return f\"Hello, {name}!\"\n```\n\nAnd $a^2 + b^2 = c^2$, [a link](https://elsewhere.example), [no link](javascript:alert(1)), ![a picture](https://elsewhere.example/x.png).";

/** Two models, less on some days. */
function usageOf(count: number): UsageList {
  const days = Array.from({ length: count }, (_, ago) => ({ at: new Date(Date.now() - ago * 86_400_000), ago })).flatMap(({ at, ago }) => ["smol", "qwen"].map((model, which) => ({ day: at.toISOString().slice(0, 10), model, requests: ((ago * 7) % 11) * (which + 1), failed: ago % 9 === 4 ? 1 : 0, prompt_tokens: ((ago * 7) % 11) * 5200, completion_tokens: ((ago * 7) % 11) * 1800, seconds: 30 })));
  const sum = (model: string, name: "requests" | "failed" | "prompt_tokens" | "completion_tokens") => days.reduce((all, one) => all + (one.model === model ? one[name] : 0), 0);
  const items = ["smol", "qwen"].map((model) => ({ owner: "usr_1", name: "ada", model, requests: sum(model, "requests"), failed: sum(model, "failed"), prompt_tokens: sum(model, "prompt_tokens"), completion_tokens: sum(model, "completion_tokens"), seconds: 30 * count }));
  return { items, days };
}

interface Kept { conversation: ConversationOut; messages: MessageOut[]; deleted: boolean }
interface Begin { title?: string; model?: string | null; system_prompt?: string; parameters?: ChatParameters; beside_of?: string | null; message?: SayIn }
interface Host { stepMs: number; later: (ms: number, work: () => void) => void; emit: (...events: Event[]) => void }
type Hear = (frame: AnswerFrame) => void;

export class MockChats {
  kept = new Map<string, Kept>();
  presets: PresetOut[] = [{ id: "pre_01", name: "Terse", system_prompt: "Answer in one sentence.", parameters: { temperature: 0.2 }, model: null }];
  #followers = new Map<string, Set<Hear>>();
  #next = 1;
  #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  reset(): void {
    this.kept.clear();
    this.#followers.clear();
    this.#next = 1;
  }

  async answer(request: Request, url: URL): Promise<Response> {
    const [, , , area = "", id = "", verb = "", message = "", deed = ""] = url.pathname.split("/");
    const body = async <T>() => (await request.json()) as T;
    if (area === "usage") return json(200, usageOf(Number(url.searchParams.get("days") ?? 30)));
    if (area === "presets") return this.#preset(request, id);
    if (!id) return request.method === "GET" ? this.#list(url) : this.#begin(await body<Begin>());
    if (id === "import") return this.#bring(await body<{ title: string; messages: MessageOut[] }>());
    const kept = this.kept.get(id);
    if (!kept || (kept.deleted && verb !== "restore")) return refusal(404, "conversation_not_found", "There is no such conversation.");
    if (verb === "restore") kept.deleted = false;
    else if (verb === "export") return json(200, { format: "atelier.conversation", version: 1, ...kept.conversation, messages: kept.messages });
    else if (verb === "messages" && !message) return this.#say(kept, await body<SayIn>());
    else if (verb === "messages") return this.#message(kept, message, deed);
    else if (request.method === "PATCH") Object.assign(kept.conversation, await body<object>());
    else if (request.method === "DELETE") {
      kept.deleted = true;
      this.#tell(kept);
      return json(200, { id, deleted_at: now(), restorable_until: now() });
    } else return json(200, this.#detail(kept));
    this.#tell(kept);
    return json(200, kept.conversation);
  }

  #detail({ conversation, messages }: Kept): ConversationDetailOut {
    const beside = [...this.kept.values()].find((other) => other.conversation.beside_of === conversation.id);
    return { ...conversation, beside: beside?.conversation.id ?? null, messages };
  }

  #tell({ conversation }: Kept): void {
    this.#host.emit({ type: "conversation.changed", id: conversation.id });
  }

  #list(url: URL): Response {
    const words = (url.searchParams.get("q") ?? "").toLowerCase();
    const archived = url.searchParams.get("archived") === "true";
    const picture = url.searchParams.get("picture");
    const items = [...this.kept.values()]
      .filter(({ deleted, conversation, messages }) => !deleted && (!picture || messages.some((one) => one.pictures?.includes(picture))) && conversation.beside_of === null && conversation.archived === archived && [conversation.title, ...messages.map((one) => one.content)].some((text) => text.toLowerCase().includes(words)))
      .map(({ conversation }) => conversation)
      .sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.updated_at.localeCompare(a.updated_at));
    return json(200, { items, next_cursor: null });
  }

  #make({ title = "", model = null, system_prompt = "", parameters = {}, beside_of = null }: Begin): Kept {
    const id = `cnv_${String(this.#next++).padStart(4, "0")}`;
    const kept = { deleted: false, messages: [], conversation: { id, title, model, system_prompt, parameters, pinned: false, archived: false, beside: null, beside_of, head_id: null, created_at: now(), updated_at: now() } };
    this.kept.set(id, kept);
    return kept;
  }

  #begin(wanted: Begin): Response {
    if (wanted.message?.content === "refuse") return refusal(409, "conflict", "The answer before this still grows.", { code: "conversation.still_growing", params: {} });
    const kept = this.#make(wanted);
    const other = wanted.beside_of ? this.kept.get(wanted.beside_of) : undefined;
    for (const { content, pictures } of other?.messages.filter((one) => one.role === "user") ?? []) this.#add(kept, { content, pictures });
    if (wanted.message) this.#add(kept, wanted.message);
    return json(201, this.#detail(kept));
  }

  #bring({ title, messages }: { title: string; messages: MessageOut[] }): Response {
    const kept = this.#make({ title });
    kept.messages.push(...messages);
    kept.conversation.head_id = messages.at(-1)?.id ?? null;
    return json(201, this.#detail(kept));
  }

  #say(kept: Kept, wanted: SayIn): Response {
    if (wanted.content === "refuse") return refusal(409, "conflict", "The answer before this still grows.", { code: "conversation.still_growing", params: {} });
    return json(201, this.#add(kept, wanted));
  }

  #add(kept: Kept, { content = "", pictures = [], parent_id, at_start, role = "user", tool_call_id = null }: SayIn): { message: MessageOut; answer: MessageOut } {
    const message = this.#row({ role, content, pictures, tool_call_id, parent_id: at_start ? null : (parent_id ?? kept.conversation.head_id) });
    kept.messages.push(message);
    kept.conversation.title ||= content.slice(0, 60);
    return { message, answer: this.#grow(kept, message) };
  }

  #row(values: Partial<MessageOut>): MessageOut {
    return { id: `msg_${String(this.#next++).padStart(4, "0")}`, parent_id: null, role: "user", content: "", pictures: [], reasoning: "", tool_calls: [], tool_call_id: null, model: null, state: "complete", finish_reason: null, usage: null, timing: null, error: null, created_at: now(), finished_at: null, ...values };
  }

  #grow(kept: Kept, said: MessageOut): MessageOut {
    const answer = this.#row({ role: "assistant", parent_id: said.id, model: kept.conversation.model, state: "growing" });
    kept.messages.push(answer);
    Object.assign(kept.conversation, { head_id: answer.id, updated_at: now() });
    const words = said.content;
    const text = words.includes("markdown") ? MARKDOWN : `You said: ${words}${words.includes("slow") ? " and so on".repeat(80) : ""}`;
    const pieces = text.match(/[\s\S]{1,5}/g) ?? [];
    const thoughts = words.includes("think") ? ["Let me ", "think about ", "this."] : [];
    const pace = this.#host.stepMs / 3;
    const step = (at: number) => {
      if (answer.state !== "growing") return;
      if (at < thoughts.length) this.#more(answer, { reasoning: thoughts[at] });
      else if (words.includes("tool")) return this.#end(kept, answer, { tool_calls: [{ id: "call_1", name: "make_picture", arguments: '{"prompt": "a red dragon"}' }], finish_reason: "tool_calls" });
      else if (words.includes("fail") && at > 3) return this.#end(kept, answer, { state: "failed", error: { code: "worker_died", message: "The model's engine ended while it answered.", hint: "", said: null, log_tail: null } });
      else if (at - thoughts.length < pieces.length) this.#more(answer, { text: pieces[at - thoughts.length] });
      else return this.#end(kept, answer, { finish_reason: "stop" });
      this.#host.later(pace, () => step(at + 1));
    };
    const waits = words.includes("load");
    if (waits) this.#host.later(pace, () => this.#hear(answer, { type: "waiting", waiting: { message: "starts: lore is being loaded", said: { code: "waiting.starts", params: { model: "lore" } }, seconds: 40 } }));
    this.#host.later(waits ? pace * 40 : pace, () => step(0));
    this.#tell(kept);
    return { ...answer };
  }

  #more(answer: MessageOut, { text = "", reasoning = "" }: { text?: string; reasoning?: string }): void {
    answer.content += text;
    answer.reasoning = (answer.reasoning ?? "") + reasoning;
    this.#hear(answer, { type: "delta", text: text || null, reasoning: reasoning || null });
  }

  #end(kept: Kept, answer: MessageOut, values: Partial<MessageOut>): void {
    Object.assign(answer, { state: "complete", finished_at: now(), usage: { prompt_tokens: 40, completion_tokens: 62 }, timing: { waited: null, first_token: 0.24, thought: answer.reasoning ? 3 : null, total: 1.9, tokens_per_second: 37.4 } }, values);
    this.#hear(answer, { type: "done", message: { ...answer } });
    this.#followers.delete(answer.id);
    this.#tell(kept);
  }

  #hear(answer: MessageOut, frame: AnswerFrame): void {
    for (const hear of this.#followers.get(answer.id) ?? []) hear(frame);
  }

  #message(kept: Kept, id: string, deed: string): Response {
    const message = kept.messages.find((one) => one.id === id);
    if (!message) return refusal(404, "message_not_found", "There is no such message.");
    if (deed === "stream") return this.#stream(message);
    if (deed === "stop" && message.state === "growing") this.#end(kept, message, { state: "stopped", usage: null, timing: null });
    if (deed === "again") {
      const said = message.role === "assistant" ? kept.messages.find((one) => one.id === message.parent_id) : message;
      return said ? json(201, { message: said, answer: this.#grow(kept, said) }) : refusal(404, "message_not_found", "There is no such message.");
    }
    return json(200, message);
  }

  #stream(message: MessageOut): Response {
    const encoder = new TextEncoder();
    let hear: Hear = () => undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (sink) => {
        hear = (frame) => {
          sink.enqueue(encoder.encode(`data: ${JSON.stringify(frame)}\n\n`));
          if (frame.type === "done") sink.close();
        };
        if (message.state !== "growing") return hear({ type: "done", message });
        hear({ type: "snapshot", message: { ...message } });
        this.#followers.set(message.id, (this.#followers.get(message.id) ?? new Set()).add(hear));
      },
      cancel: () => void this.#followers.get(message.id)?.delete(hear),
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  }

  async #preset(request: Request, id: string): Promise<Response> {
    if (request.method === "GET") return json(200, { items: this.presets });
    const known = this.presets.find((one) => one.id === id);
    if (request.method === "DELETE") {
      this.presets = this.presets.filter((one) => one !== known);
      return json(200, known);
    }
    const preset = { ...((await request.json()) as Omit<PresetOut, "id">), id: id || `pre_${this.#next++}` };
    this.presets = [...this.presets.filter((one) => one.id !== preset.id), preset];
    return json(id ? 200 : 201, preset);
  }
}
