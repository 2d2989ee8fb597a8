// Turns openapi.json (written by the server: `atelier openapi`) into src/api/schema.gen.ts.
//   npm run generate          writes it
//   npm run generate:check    fails when it is stale
import { createClient } from "@hey-api/openapi-ts";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const target = new URL("../src/api/schema.gen.ts", import.meta.url);
const description = JSON.parse(await readFile(new URL("../openapi.json", import.meta.url), "utf8"));
// A constant with a default (an event's `type`) is always sent; only then does TypeScript tell events apart.
for (const schema of Object.values(description.components.schemas)) {
  const constants = Object.entries(schema.properties ?? {}).filter(([, property]) => "const" in property).map(([name]) => name);
  if (constants.length) schema.required = [...new Set([...(schema.required ?? []), ...constants])];
}
const folder = await mkdtemp(join(tmpdir(), "atelier-types-"));
try {
  await createClient({
    input: description,
    output: { path: folder },
    plugins: ["@hey-api/typescript"],
    logs: { level: "silent" },
  });
  const fresh = await readFile(join(folder, "types.gen.ts"), "utf8");
  if (process.argv.includes("--check")) {
    const known = await readFile(target, "utf8").catch(() => "");
    if (known !== fresh) {
      console.error("src/api/schema.gen.ts is stale: run `npm run generate` and commit it.");
      process.exitCode = 1;
    } else {
      console.log("src/api/schema.gen.ts matches openapi.json");
    }
  } else {
    await writeFile(target, fresh);
    console.log("wrote src/api/schema.gen.ts");
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
