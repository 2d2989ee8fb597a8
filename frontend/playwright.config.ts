import { defineConfig } from "@playwright/test";
import { execFileSync } from "node:child_process";

function chromium(): string | undefined {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const name of ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/** Against the real server, in a real browser. Needs a built dashboard (`npm run build`) and ATELIER_PYTHON. */
export default defineConfig({
  testDir: "e2e",
  // Three files at a time, each with a server of its own: most of a test is waiting.
  workers: 3,
  // Generous: these run on small and busy machines. What fails is tried again by test.sh alone, which says so.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  retries: 0,
  reporter: [["line"]],
  use: {
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    // A trace of every test costs a third of the whole run: `npm run e2e -- --trace retain-on-failure` records them.
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: chromium(),
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    },
  },
});
