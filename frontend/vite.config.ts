/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

import { mockApi } from "./src/mocks/vite-plugin.ts";

const server = process.env.ATELIER_BASE_URL ?? "http://127.0.0.1:8000";

export default defineConfig(({ mode }) => ({
  plugins: [react(), ...(mode === "mock" ? [mockApi()] : [])],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    host: "127.0.0.1",
    port: Number(process.env.PORT ?? 5173),
    proxy: mode === "mock" ? undefined : Object.fromEntries(
      ["/api", "/v1", "/docs", "/openapi.json", "/health"].map((path) => [path, { target: server, ws: path === "/api" }]),
    ),
  },
  preview: { host: "127.0.0.1", port: Number(process.env.PORT ?? 4173) },
  build: { target: "es2022", sourcemap: false, chunkSizeWarningLimit: 600, assetsInlineLimit: 0 },
  test: {
    environment: "jsdom",
    setupFiles: ["src/mocks/setup.ts"],
    include: ["src/**/*.test.{ts,tsx}"],
    pool: "threads",
    isolate: false, // what a file leaves behind is cleared in setup.ts
    maxWorkers: 2,
    restoreMocks: true,
    testTimeout: 45_000,
  },
}));
