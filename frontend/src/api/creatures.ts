/** The creature service is called as its own clients call it: with its own key, and with errors in its own words. */
import { problemOf } from "./errors";
import type { CreatureOut } from "./types";

/** Draws one. `key` is the service's own, where it has one. Throws an ApiProblem; a missing key opens no padlock. */
export async function drawCreature(prompt: string, key: string): Promise<CreatureOut> {
  const query = prompt.trim() ? `?${new URLSearchParams({ prompt: prompt.trim() })}` : "";
  const response = await fetch(`/v1/generate${query}`, { headers: { Accept: "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) } });
  if (response.ok) return (await response.json()) as CreatureOut;
  const words = (await response.clone().json().catch(() => null)) as { message?: string; code?: string } | null;
  const problem = await problemOf(response);
  if (words?.message) problem.message = words.message;
  throw problem;
}
