/** A conversation as a program that asks the same over `/v1`. */
import type { ChatParameters, MessageOut } from "@/api/types";

export type Language = "curl" | "python" | "javascript";

interface Asked { model: string; system_prompt: string; parameters: ChatParameters; messages: readonly MessageOut[] }

/** The body of a request, without the pictures: they are many kilobytes, and whoever writes the program has them. */
export function bodyOf({ model, system_prompt, parameters, messages }: Asked): Record<string, unknown> {
  const { json_answer, ...own } = parameters;
  // What is left out is decided before anything is asked.
  const given = Object.fromEntries(Object.entries(own).filter(([name, value]) => value !== null && value !== undefined && name !== "drop_oldest"));
  const last = messages.at(-1);
  const turns = last?.role === "assistant" ? messages.slice(0, -1) : messages;
  return {
    model,
    messages: [
      ...(system_prompt.trim() ? [{ role: "system", content: system_prompt }] : []),
      ...turns.filter((one) => one.role !== "assistant" || one.content !== "").map(({ role, content, tool_call_id }) => ({ role, content, ...(tool_call_id ? { tool_call_id } : {}) })),
    ],
    ...given,
    ...(json_answer ? { response_format: { type: "json_object" } } : {}),
  };
}

export function snippet(language: Language, origin: string, body: Record<string, unknown>): string {
  return { curl, python, javascript }[language](origin, body);
}

function curl(origin: string, body: object): string {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return `curl -sSN ${origin}/v1/chat/completions \\\n  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n  -H 'Content-Type: application/json' \\\n  -d '${json}'`;
}

/** JSON as Python writes it. */
const pythonic = (value: unknown, indent: string): string => {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return value.length ? `[\n${value.map((one) => `${indent}    ${pythonic(one, `${indent}    `)},`).join("\n")}\n${indent}]` : "[]";
  if (typeof value === "object") return `{${Object.entries(value as object).map(([name, one]) => `${JSON.stringify(name)}: ${pythonic(one, indent)}`).join(", ")}}`;
  return JSON.stringify(value);
};

/** What OpenAI's own library has no name for goes into `extra_body`. */
const EXTRA = ["top_k", "min_p", "repetition_penalty"];

function python(origin: string, body: Record<string, unknown>): string {
  const extra = Object.fromEntries(Object.entries(body).filter(([name]) => EXTRA.includes(name)));
  const fields = Object.entries(body).filter(([name]) => !EXTRA.includes(name)).map(([name, value]) => `    ${name}=${pythonic(value, "    ")},`);
  if (Object.keys(extra).length) fields.push(`    extra_body=${pythonic(extra, "    ")},`);
  return `import os

from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=os.environ.get("OPENAI_API_KEY", "none"))
stream = client.chat.completions.create(
${fields.join("\n")}
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}

function javascript(origin: string, body: Record<string, unknown>): string {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(`${origin}/v1`)}, apiKey: process.env.OPENAI_API_KEY ?? "none" });
const stream = await client.chat.completions.create(${JSON.stringify({ ...body, stream: true }, null, 2)});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
`;
}
