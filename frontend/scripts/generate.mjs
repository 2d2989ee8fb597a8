// Turns openapi.json (written by the server: `atelier openapi`) into src/api/generated: types, client, one function per route.
//   npm run generate          writes it
//   npm run generate:check    fails when it is stale
import { createClient } from "@hey-api/openapi-ts";
import { mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const target = fileURLToPath(new URL("../src/api/generated", import.meta.url));
const description = JSON.parse(await readFile(new URL("../openapi.json", import.meta.url), "utf8"));
// A constant with a default (an event's `type`) is always sent; only then does TypeScript tell events apart.
for (const schema of Object.values(description.components.schemas)) {
  const constants = Object.entries(schema.properties ?? {}).filter(([, property]) => "const" in property).map(([name]) => name);
  if (constants.length) schema.required = [...new Set([...(schema.required ?? []), ...constants])];
}
const check = process.argv.includes("--check");
// Beside the target, so that a rename puts it there.
const folder = check ? await mkdtemp(join(tmpdir(), "atelier-client-")) : `${target}.new`;
try {
  await createClient({
    input: description,
    output: { path: folder, indexFile: false },
    plugins: ["@hey-api/typescript", { name: "@hey-api/client-fetch", baseUrl: false, throwOnError: true, runtimeConfigPath: "@/api/client" }, { name: "@hey-api/sdk", responseStyle: "data" }],
    logs: { level: "silent" },
  });
  if (!check) {
    await rm(target, { recursive: true, force: true });
    await rename(folder, target);
    console.log("wrote src/api/generated");
  } else if (await texts(folder) !== (await texts(target).catch(() => ""))) {
    console.error("src/api/generated is stale: run `npm run generate` and commit it.");
    process.exitCode = 1;
  } else {
    console.log("src/api/generated matches openapi.json");
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Names and contents of all files of a folder. */
async function texts(root) {
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".ts")).sort();
  return JSON.stringify(await Promise.all(names.map(async (name) => [name, await readFile(join(root, name), "utf8")])));
}
