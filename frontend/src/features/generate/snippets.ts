/** The current request as a program somebody can run. */
import type { Wanted } from "./tasks";

export type Language = "curl" | "python" | "javascript";

export function snippet(language: Language, origin: string, wanted: Wanted): string {
  const body = Object.fromEntries(Object.entries(wanted.body).filter(([, value]) => value !== null && value !== undefined));
  return { curl, python, javascript }[language](origin, `/api/generate/${wanted.path}`, body);
}

function curl(origin: string, path: string, body: object): string {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return `curl -sS ${origin}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${json}'`;
}

function python(origin: string, path: string, body: object): string {
  const fields = Object.entries(body).map(([name, value]) => `    ${JSON.stringify(name)}: ${typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value)},`);
  return `import time

import httpx

client = httpx.Client(base_url=${JSON.stringify(origin)})
job = client.post(${JSON.stringify(path)}, json={
${fields.join("\n")}
}).raise_for_status().json()

while True:
    state = client.get(f"/api/generate/{job['job_id']}").raise_for_status().json()
    if state["status"] in ("completed", "failed", "cancelled"):
        break
    time.sleep(0.5)

for image in state["images"]:
    with open(f"{image['id']}.{image['format']}", "wb") as file:
        file.write(client.get(image["url"]).raise_for_status().content)
`;
}

function javascript(origin: string, path: string, body: object): string {
  return `const origin = ${JSON.stringify(origin)};
const job = await fetch(origin + ${JSON.stringify(path)}, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),
}).then((response) => response.json());

let state;
do {
  await new Promise((done) => setTimeout(done, 500));
  state = await fetch(origin + "/api/generate/" + job.job_id).then((response) => response.json());
} while (!["completed", "failed", "cancelled"].includes(state.status));

console.log(state.images.map((image) => origin + image.url));
`;
}
