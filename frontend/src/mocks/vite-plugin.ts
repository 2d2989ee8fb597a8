/** The mock API behind Vite's servers: `npm run dev:mock`, `npm run preview:mock`. Real HTTP and a real socket, no GPU. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import { WebSocketServer } from "ws";

import { MockAtelier } from "./atelier.ts";

interface ViteServer {
  httpServer: unknown;
  middlewares: Connect.Server;
}

export function mockApi(): Plugin {
  return { name: "atelier-mock-api", configureServer: serve, configurePreviewServer: serve };
}

function serve({ httpServer, middlewares }: ViteServer): void {
  const atelier = new MockAtelier({ images: Number(process.env.MOCK_IMAGES ?? 240), zoo: true });
  const sockets = new WebSocketServer({ noServer: true });
  setInterval(() => atelier.sample(), 1000).unref();
  (httpServer as Server | null)?.on("upgrade", (request, socket, head) => {
    if (!request.url?.startsWith("/api/live")) return;
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (atelier.token !== null && !atelier.unlocked) return ws.close(4401, "needs the access token");
      const leave = atelier.connect((frame) => ws.send(JSON.stringify(frame)));
      ws.on("message", () => ws.send(JSON.stringify({ type: "pong", seq: atelier.seq })));
      ws.on("close", leave);
    });
  });
  middlewares.use((request, response, next) => {
    if (!/^\/(api|v1)\//.test(request.url ?? "")) return next();
    void answer(atelier, request, response);
  });
}

async function answer(atelier: MockAtelier, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const answered = await atelier.handle(new Request(`http://mock${request.url}`, { method: request.method, headers: { "Content-Type": request.headers["content-type"] ?? "application/json" }, body: body.length ? body : undefined }));
  response.writeHead(answered.status, Object.fromEntries(answered.headers));
  // Piece by piece: an answer of a chat grows.
  for await (const piece of answered.body ?? []) response.write(piece);
  response.end();
}
