/** How a model is used from a program: curl, Python, JavaScript. */
import type { ModelOut } from "@/api/types";
import { isAddition } from "@/lib/models";

export type Language = "curl" | "python" | "javascript";

interface Call { path: string; body: Record<string, unknown>; result: "pictures" | "text" }

/** The call that uses a model of this task; null for one that is not called by itself. */
export function callOf(model: Pick<ModelOut, "key" | "task" | "type" | "defaults">): Call | null {
  if (isAddition(model)) return null;
  if (model.task === "image") return { path: "/api/generate/text-to-image", body: { prompt: "a red dragon with wings", model: model.key, num_outputs: 1 }, result: "pictures" };
  if (model.task === "chat") return { path: "/v1/chat/completions", body: { model: model.key, messages: [{ role: "user", content: "Why is the sky blue?" }] }, result: "text" };
  return null;
}

/** Getting a model into memory before it is needed. */
export function loadCallOf(key: string): Call {
  return { path: `/api/admin/models/${key}/load`, body: {}, result: "text" };
}

export function recipe(language: Language, origin: string, { path, body, result }: Call): string {
  const json = JSON.stringify(body, null, 2);
  switch (language) {
    case "curl":
      return `curl -sS ${origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${json.replaceAll("'", "'\\''")}'`;
    case "python":
      return `import httpx\n\nclient = httpx.Client(base_url=${JSON.stringify(origin)})\nanswer = client.post(${JSON.stringify(path)}, json=${pythonOf(body)})\nprint(answer.raise_for_status().json())${result === "pictures" ? "\n# Follow it at /api/generate/{job_id}" : ""}`;
    case "javascript":
      return `const answer = await fetch(${JSON.stringify(origin + path)}, {\n  method: "POST",\n  headers: { "Content-Type": "application/json" },\n  body: JSON.stringify(${json.replaceAll("\n", "\n  ")}),\n});\nconsole.log(await answer.json());${result === "pictures" ? "\n// Follow it at /api/generate/{job_id}" : ""}`;
  }
}

function pythonOf(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonOf(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}
