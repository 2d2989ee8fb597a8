/** How the generated functions (`generated/sdk.gen.ts`, one per route) reach the server: address, errors, the padlock on a 401. */
import { Signal } from "@/lib/signal";

import { offline, problemOf } from "./errors";
import type { CreateClientConfig } from "./generated/client.gen";

/** True while the server wants a token that this browser has not given. */
export const locked = new Signal(false);

const UNLOCK = "/api/access/session";

/** `fetch`, except that whatever is no success is thrown, as an `ApiProblem`. */
async function send(request: Request): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (request.signal.aborted) throw error;
    throw offline();
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && new URL(request.url).pathname !== UNLOCK) locked.set(true);
  throw problem;
}

export const createClientConfig: CreateClientConfig = (config) => ({
  ...config,
  baseUrl: globalThis.location?.origin ?? "http://localhost", // without a window, in tests
  headers: { Accept: "application/json" },
  fetch: send as typeof fetch, // the generated client always hands over a Request
});
