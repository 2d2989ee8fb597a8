/** Files of requests that are answered in the background. */

export const ENDPOINTS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/images/generations"] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

const ENDED = new Set(["completed", "failed", "expired", "cancelled"]);

export const isUnderWay = (batch: { status: string }): boolean => !ENDED.has(batch.status);

/** What a batch has answered so far, or which of its lines went wrong. */
export const batchFile = (id: string, what: "output" | "errors"): string => `/v1/batches/${id}/${what}`;

/** The endpoint that the first line of a file asks; null when it names none of those that there are. */
export function endpointOf(beginning: string): Endpoint | null {
  const line = beginning.split("\n").find((each) => each.trim()) ?? "";
  const named = /"url"\s*:\s*"([^"]+)"/.exec(line)?.[1];
  return ENDPOINTS.find((each) => each === named) ?? null;
}

export const EXAMPLE = ["first", "second"].map((id) => JSON.stringify({ custom_id: id, method: "POST", url: ENDPOINTS[0], body: { model: "lore", messages: [{ role: "user", content: `The ${id} question` }] } })).join("\n");
