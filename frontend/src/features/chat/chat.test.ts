// @vitest-environment node
import { afterEach, describe, expect, it, vi } from "vitest";

import { FrameReader } from "@/api/answers";
import type { MessageOut, ModelOut } from "@/api/types";
import { answering, answers, usable } from "@/lib/answering";
import { blocksOf, refersElsewhere, withMath } from "@/lib/markdown";

import { fuller, isFull, paceOf, picturesOver, roomOf } from "./context";
import { attached, attachFiles, clearSaid, draftOf } from "./drafts";
import { placesOf, plainOf, readingOf } from "./finding";
import { grown } from "./growing";
import { choose } from "./models";
import { numberOf, stopsOf, toolsOf, trimmed } from "./parameters";
import { smaller } from "./scaling";
import { bodyOf, snippet } from "./snippets";
import { branchOf, endOf, siblingsOf, turnsOf } from "./tree";
import { step } from "./useSteps";

const said = (id: string, parent_id: string | null, role: MessageOut["role"] = "user", content = id): MessageOut => ({ id, parent_id, role, content, model: null, state: "complete", finish_reason: null, usage: null, timing: null, error: null, created_at: "", finished_at: null });

//  a ─ b ─┬─ c ─ d          the first way
//         └─ e ─┬─ f        said differently, answered twice
//               └─ g
//  h                        another beginning
const tree = [said("a", null), said("b", "a", "assistant"), said("c", "b"), said("d", "c", "assistant"), said("e", "b"), said("f", "e", "assistant"), said("g", "e", "assistant"), said("h", null)];
const ids = (messages: readonly { id: string }[]) => messages.map((one) => one.id).join("");

describe("tree", () => {
  it("goes from the beginning to the head", () => {
    expect(ids(branchOf(tree, "d"))).toBe("abcd");
    expect(ids(branchOf(tree, "g"))).toBe("abeg");
    expect(branchOf(tree, null)).toEqual([]);
    expect(branchOf(tree, "nobody")).toEqual([]);
  });

  it("never runs in a circle", () => {
    expect(ids(branchOf([said("x", "y"), said("y", "x")], "x"))).toBe("yx");
  });

  it("knows what was said instead", () => {
    expect(ids(siblingsOf(tree, tree[4] as MessageOut))).toBe("ce");
    expect(ids(siblingsOf(tree, tree[0] as MessageOut))).toBe("ah");
  });

  it("goes on where a branch was last spoken in", () => {
    expect(endOf(tree, "c")).toBe("d");
    expect(endOf(tree, "e")).toBe("g");
    expect(endOf(tree, "a")).toBe("g");
    expect(endOf(tree, "h")).toBe("h");
  });

  it("puts two conversations side by side: what both were asked stands once", () => {
    const left = [said("1", null, "user", "hello"), said("2", "1", "assistant", "one"), said("3", "2", "user", "only here")];
    const right = [said("4", null, "user", "hello"), said("5", "4", "assistant", "one")];
    const turns = turnsOf(left, right);
    expect(turns.map((turn) => ("both" in turn ? "both" : [turn.left?.id, turn.right?.id]))).toEqual(["both", ["2", "5"], ["3", undefined]]);
  });
});

describe("formulas", () => {
  it("have one spelling", () => {
    expect(withMath("so \\(x^2\\) is")).toBe("so $$x^2$$ is");
    expect(withMath("\\[\nx^2\n\\]").trim()).toBe("$$\nx^2\n$$");
    expect(withMath("$$x$$")).toBe("$$\nx\n$$");
    expect(withMath("so $x^2$, and $y$.")).toBe("so $$x^2$$, and $$y$$.");
  });

  it("are no prices and no code", () => {
    for (const text of ["between $5 and $6", "it costs $20, not $30", "`$x$` and `\\(y\\)`", "```sh\necho $HOME $PATH$\n```", "a \\$x\\$ b"]) expect(withMath(text)).toBe(text);
  });
});

describe("blocks of a growing text", () => {
  it("end at empty lines, not within code, lists and formulas", () => {
    expect(blocksOf("one\n\ntwo\nthree\n\n- a\n\n- b\n\nfour")).toEqual(["one\n", "two\nthree\n\n- a\n\n- b\n", "four"]);
    expect(blocksOf("```\na\n\nb\n```\n\nafter")).toEqual(["```\na\n\nb\n```\n", "after"]);
    expect(blocksOf("$$\na\n\nb\n$$\n\nafter")).toEqual(["$$\na\n\nb\n$$\n", "after"]);
  });

  it("lose nothing, and only the last changes", () => {
    const text = "# T\n\nwords\n\n```js\nx\n\ny\n```\n\n1. a\n2. b\n\nend";
    expect(blocksOf(text).join("\n")).toBe(text);
    const before = blocksOf(text.slice(0, 17));
    expect(blocksOf(text).slice(0, before.length - 1)).toEqual(before.slice(0, -1));
  });
});

describe("a growing answer", () => {
  const answer = said("x", null, "assistant", "");

  it("takes what comes to what is there", () => {
    let now = grown({ message: answer, waiting: null }, { type: "waiting", waiting: { message: "starts", said: null, seconds: 4 } });
    expect(now.waiting?.seconds).toBe(4);
    now = grown(now, { type: "delta", reasoning: "hm", text: null });
    now = grown(now, { type: "delta", text: "He" });
    now = grown(now, { type: "delta", text: "llo", tool_calls: [{ id: "1", name: "f", arguments: "{" }] });
    expect(now).toMatchObject({ waiting: null, message: { content: "Hello", reasoning: "hm", tool_calls: [{ name: "f" }] } });
  });

  it("begins anew with a snapshot: nothing stands twice after a lost connection", () => {
    const now = grown({ message: { ...answer, content: "Hel" }, waiting: null }, { type: "snapshot", message: { ...answer, content: "Hello wo" } });
    expect(grown(now, { type: "delta", text: "rld" }).message.content).toBe("Hello world");
  });

  it("is read out of pieces that end anywhere", () => {
    const reader = new FrameReader();
    const all = 'data: {"type":"delta","text":"é"}\n\n: still there\n\ndata: {"type":"done"}\n\n';
    expect([...all].flatMap((letter) => reader.feed(letter)).map((frame) => frame.type)).toEqual(["delta", "done"]);
  });
});

describe("parameters", () => {
  const temperature = { name: "temperature", min: 0, max: 2 } as const;
  it("are numbers in their bounds, or the model's own", () => {
    expect(numberOf("", temperature)).toBeNull();
    expect(numberOf("0,7", temperature)).toBe(0.7);
    for (const wrong of ["3", "x", "-1"]) expect(numberOf(wrong, temperature)).toBeNaN();
    expect(numberOf("1.5", { name: "top_k", min: 0, max: 9, whole: true })).toBeNaN();
  });

  it("leave out what says nothing", () => expect(trimmed({ temperature: 0, top_p: null, stop: [], json_answer: false })).toEqual({ temperature: 0 }));

  it("take functions as OpenAI describes them", () => {
    expect(toolsOf("")).toEqual([]);
    expect(toolsOf('{"type":"function","function":{"name":"f"}}')).toHaveLength(1);
    for (const wrong of ["{", "[1]", '[{"name":"f"}]', "null"]) expect(toolsOf(wrong)).toBeNull();
    expect(stopsOf("a\n\nb\nc\nd\ne")).toEqual(["a", "b", "c", "d"]);
  });
});

describe("the context", () => {
  const model = { chat: { context: 1000 } } as ModelOut;
  const setup = { system_prompt: "", parameters: {} };
  const nothing = { text: "", pictures: [] };
  const counted = { ...said("b", "a", "assistant", "x".repeat(400)), usage: { prompt_tokens: 50, completion_tokens: 100 } };

  it("is what the engine counted, with an estimate of what it has not seen", () => {
    const room = roomOf([said("a", null), counted], nothing, model, setup);
    expect(room).toMatchObject({ used: 150, next: 150, most: 1000, counted: true });
    expect(paceOf([counted])).toBe(0.25);
    expect(roomOf([said("a", null), counted], { text: "y".repeat(400), pictures: [] }, model, setup).next).toBe(150 + 100 + 8);
    expect(roomOf([said("a", null), counted, said("c", "b", "user", "z".repeat(40))], nothing, model, setup).used).toBe(150 + 10 + 8);
    expect(roomOf([], { text: "y".repeat(100), pictures: [1] }, model, { ...setup, system_prompt: "s".repeat(10) })).toMatchObject({ used: 11, counted: false, next: 11 + 30 + 1200 + 8, alone: true });
  });

  it("does not count reasoning, which is not sent again", () => {
    expect(roomOf([{ ...counted, reasoning: "t".repeat(400) }], nothing, model, setup).used).toBe(100);
  });

  it("is full before anything fails, unless the oldest may go or no model says how much it holds", () => {
    const long = { text: "y".repeat(3500), pictures: [] };
    const branch = [said("a", null), counted];
    expect(isFull(roomOf(branch, long, model, setup))).toBe(true);
    expect(isFull(roomOf(branch, nothing, model, setup))).toBe(false);
    expect(isFull(roomOf(branch, long, undefined, setup))).toBe(false);
    expect(isFull(roomOf(branch, long, model, { ...setup, parameters: { drop_oldest: true } }))).toBe(false);
    expect(isFull(roomOf(branch, { text: "y".repeat(9000), pictures: [] }, model, { ...setup, parameters: { drop_oldest: true } }))).toBe(true);
  });

  it("counts of many pictures those that go", () => {
    const seer = { chat: { context: 9000, pictures: 4 } } as ModelOut;
    expect(roomOf([], { text: "", pictures: [1, 2, 3, 4, 5, 6] }, seer, setup).next).toBe(4 * 1200 + 8);
  });

  it("of two side by side is that with less left", () => {
    const [one, other] = [roomOf([counted], nothing, model, setup), roomOf([counted], nothing, { chat: { context: 200 } } as ModelOut, setup)];
    expect(fuller(one, other)).toBe(other);
    expect(fuller(other, one)).toBe(other);
    expect(fuller(one, null)).toBe(one);
  });
});

describe("models that answer", () => {
  const model = (over: Partial<ModelOut>) => ({ key: "base", task: "chat", type: "base_model", runnable: true, available: true, state: "idle", download: null, ...over }) as ModelOut;
  const lora = (key: string, answers_with: string | null) => model({ key, type: "lora", runnable: false, answers_with });
  const shown = answering([lora("pirate", "base"), lora("unused", null), model({ state: "ready", sees: true, worker_id: "w_1" }), model({ key: "other" })]);

  it("are LoRAs too that one is loaded with, where and as that one is", () => {
    expect(shown.filter(answers).map((one) => one.key)).toEqual(["pirate", "base", "other"]);
    expect(shown[0]).toMatchObject({ key: "pirate", type: "lora", state: "ready", sees: true, worker_id: "w_1" });
    expect(usable(shown[0] as ModelOut)).toBe(true);
    expect(usable(answering([lora("pirate", "base"), model({ available: false })])[0] as ModelOut)).toBe(false);
  });

  it("answer when they are chosen; unasked only those that stand by themselves", () => {
    expect(choose(shown, "pirate")?.key).toBe("pirate");
    expect(choose(shown, null)?.key).toBe("base");
    expect(choose(shown.slice(0, 2), null)).toBeUndefined();
  });

  it("take so many pictures at once", () => {
    const seer = { sees: true, chat: { pictures: 4 } } as ModelOut;
    const branch = [{ pictures: ["a", "b"] }, {}, { pictures: ["c"] }];
    const written = (count: number) => ({ text: "", pictures: Array(count) as unknown[] });
    expect([0, 1, 3].map((count) => picturesOver(branch, written(count), seer))).toEqual([0, 0, 2]);
    expect(picturesOver(branch, written(9), { ...seer, sees: false })).toBe(0);
    expect(picturesOver(branch, written(9), undefined)).toBe(0);
  });
});

describe("a large picture", () => {
  it("is made smaller, its sides alike; a small one stays", () => {
    expect(smaller([4032, 3024], 4e6)).toEqual([2048, 1536]);
    expect(smaller([9000, 10], 1e6)).toEqual([2048, 2]);
    expect(smaller([1600, 1200], 1e6)).toBeNull();
    expect(smaller([1600, 1200], 9e6)).toEqual([1600, 1200]);
  });
});

describe("code", () => {
  const body = bodyOf({ model: "lore", system_prompt: "Be brief.", parameters: { temperature: 0.2, top_k: 5, json_answer: true, drop_oldest: true, seed: null }, messages: [said("1", null, "user", "it's"), said("2", "1", "assistant", "")] });

  it("asks what was asked, without the answer", () => {
    expect(body).toEqual({ model: "lore", messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "it's" }], temperature: 0.2, top_k: 5, response_format: { type: "json_object" } });
  });

  it("is a program in three languages", () => {
    expect(snippet("curl", "http://here", body)).toContain("it'\\''s");
    expect(snippet("python", "http://here", body)).toMatch(/extra_body=\{"top_k": 5\}[\s\S]*stream=True/);
    expect(snippet("javascript", "http://here", body)).toContain('"stream": true');
  });
});

describe("words in a conversation", () => {
  const count = (text: string, words: string) => placesOf(readingOf([{ left: said("a", null, "assistant", text), right: null }]), words).length;

  it("are found in the order in which one reads, whatever their case", () => {
    const turns = turnsOf([said("q", null, "user", "Fox and fox"), said("l", "q", "assistant", "no")], [said("p", null, "user", "Fox and fox"), said("r", "p", "assistant", "a FOX")]);
    expect(placesOf(readingOf(turns), "fox")).toEqual([{ turn: 0, message: "q", nth: 0 }, { turn: 0, message: "q", nth: 1 }, { turn: 1, message: "r", nth: 0 }]);
    expect(placesOf(readingOf(turns), "  ")).toEqual([]);
  });

  it("are those that are read, not the marks around them; what a person wrote is as it is", () => {
    expect(plainOf("## A **bold** _word_ and `code`, [a link](https://x.example/fox)")).toBe("A bold word and code, a link");
    expect(count("a **bold** word", "a bold word")).toBe(1);
    expect(count("[a link](https://x.example/fox)", "fox")).toBe(0);
    expect(count("```python\nx = a ** b # fox_trot\n```", "a ** b")).toBe(1);
    expect(count("snake_case_name and 2 * 3 * 4", "snake_case_name")).toBe(1);
    expect(placesOf(readingOf([{ left: said("a", null, "user", "a **bold** word"), right: null }]), "**bold**")).toHaveLength(1);
  });

  it("may be parted by the end of a line, and mean nothing special", () => {
    expect(count("one\ntwo", "one two")).toBe(1);
    expect(count("what? (yes) [no] $5.00", "what? (yes) [no] $5.00")).toBe(1);
    expect(count("a | b", ".")).toBe(0);
  });
});

describe("what is being written", () => {
  class Upload {
    static all: Upload[] = [];
    upload = {};
    status = 201;
    responseText = JSON.stringify({ id: "inp_1" });
    onload = () => undefined;
    open = () => undefined;
    setRequestHeader = () => undefined;
    send = () => void Upload.all.push(this);
  }
  afterEach(() => vi.unstubAllGlobals());

  it("keeps a picture that is taken to another conversation before it has been sent", async () => {
    vi.stubGlobal("XMLHttpRequest", Upload);
    const [here, there] = [draftOf("cnv_full"), draftOf(null)];
    attachFiles(here, [new File(["x"], "fox.png", { type: "image/png" })]);
    await vi.waitFor(() => expect(Upload.all).toHaveLength(1));
    there.set(here.get());
    here.set({ text: "", pictures: [] });
    Upload.all[0]?.onload();
    expect(await attached(there)).toEqual(["inp_1"]);
  });

  it("loses nothing of what is written while the question is on its way", () => {
    const [here, begun] = [draftOf("cnv_slow"), draftOf("cnv_begun")];
    const picture = (key: string) => ({ key, id: key, name: "", url: "/api/inputs/x/file", problem: null });
    const said = { text: "why?", pictures: [picture("a")] };
    here.set({ text: "why? and how", pictures: [picture("a"), picture("b")] });
    clearSaid(here, said);
    expect(here.get()).toMatchObject({ text: "and how", pictures: [{ key: "b" }] });
    here.set(said);
    clearSaid(here, said, begun);
    expect([here.get(), begun.get()]).toEqual([{ text: "", pictures: [] }, { text: "", pictures: [] }]);
  });
});

describe("a long answer", () => {
  it("is drawn in steps of at least one part, to its end", () => {
    const parts = [100, 500, 100, 2000, 10, 10].map((letters) => "x".repeat(letters));
    const ways = [];
    for (let at = 0; at < parts.length; ) ways.push((at = step(parts, at)));
    expect(ways).toEqual([2, 3, 4, 6]);
    expect(step([""], 0)).toBe(1);
  });

  it("is read as a whole where it names its links elsewhere", () => {
    expect(refersElsewhere("See [the page][1].\n\n[1]: https://example.org")).toBe(true);
    expect(refersElsewhere("- [x] done: yes\n\n[a] is: b")).toBe(false);
  });
});
