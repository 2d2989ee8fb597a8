/**
 * What the server says, in the reader's language. Every sentence of the server has a code and the values that stand in it;
 * the words are in `said/<language>.json`. A sentence without words here (a newer server's, a library's) is shown as sent.
 */
import i18next from "i18next";
import { useTranslation } from "react-i18next";

import { familyName } from "@/lib/models";
import { bytes, percent } from "@/lib/numbers";

type Values = Record<string, unknown>;

/** An error, a problem, one of its fields, a reason for waiting, a progress message: whatever carries a sentence. */
export interface Sentence {
  code?: string;
  message?: string | null;
  hint?: string | null;
  said?: { code: string; params: Values } | null;
  status?: number;
  fields?: readonly (Sentence & { field: string })[];
}

export interface Told { text: string; hint: string }

/** The words for a code in the reader's language; null when there are none. */
function words(code: string, values: Values, part: "text" | "hint" = "text"): string | null {
  const key = `${code}.${part}`;
  // Values come from the server: they fill slots, and are never taken for options.
  const options = { ns: "said" as const, replace: values, ...(typeof values.count === "number" ? { count: values.count } : {}) };
  if (!i18next.exists(key, options)) return null;
  return (i18next.t as (key: string, options: object) => string)(key, options);
}

export function said(sentence: Sentence): Told {
  const asSent = { text: sentence.message ?? "", hint: sentence.hint ?? "" };
  const code = sentence.said?.code ?? sentence.code;
  if (!code) return asSent;
  const values: Values = { status: sentence.status, ...sentence.said?.params };
  if (sentence.fields) values.fields = sentence.fields.map((field) => `${field.field} – ${said(field).text}`).join(" ");
  const text = words(code, values);
  if (text === null) return asSent;
  // A sentence may name the one that caused it, and what a worker was doing at the time.
  const cause = typeof values.cause === "string" ? values.cause : null;
  const more = [cause && words(cause, values), values.phase && words(`phase.${String(values.phase)}`, {})];
  return { text: [text, ...more].filter(Boolean).join(" "), hint: words(cause ?? code, values, "hint") ?? asSent.hint };
}

/** `said`, for components: they are drawn again when the language changes or its words arrive. */
export function useSaid(): typeof said {
  useTranslation("said");
  return said;
}

/** What a job is called: in the user's own words, or in ours for work that the server asked of itself. */
export function titleOf(job: { kind: string; title: string; request: Values }): string {
  return words(`title.${job.kind}`, job.request) ?? job.title;
}

interface Described { key: string; description: string }

/** What a model of the catalogue is said to be. */
export const aboutOffer = (offer: Described): string => words(`about.${offer.key.replaceAll(".", "_")}`, {}) ?? offer.description;

/** What a model says of itself; in three languages where the words are ours: it ships with Atelier, or nobody changed what the catalogue says. */
export function aboutModel(model: Described & { source: string }, offer?: Described | null): string {
  return model.source === "embedded" || model.description === offer?.description ? aboutOffer(model) : model.description;
}

/** Called the same in every language. */
const CALLED: Record<string, string> = { vllm_chat: "vLLM", vllm_cpu_chat: "vLLM (CPU)", transformers_chat: "transformers" };

/** `{{size, bytes}}`, `{{share, percent}}`, and words that stand for a value: `{{use, doing}}`, `{{name, engine}}`, `{{side, side}}`; `{{base, family}}`, by the name that people use. */
export function addFormats(): void {
  const formatter = i18next.services.formatter;
  formatter?.add("bytes", (value, language) => bytes(Number(value), language));
  formatter?.add("percent", (value, language) => percent(Number(value), language));
  formatter?.add("family", (value) => familyName(String(value)));
  for (const [format, group] of [["doing", "doing"], ["engine", "engine_name"], ["side", "side"]] as const) {
    formatter?.add(format, (value) => words(`${group}.${String(value)}`, {}) ?? CALLED[String(value)] ?? String(value));
  }
}
