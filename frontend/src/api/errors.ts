import i18next from "i18next";

import type { Problem } from "./types";

/** What the server says went wrong (RFC 9457), or that it cannot be reached (`code` "offline"). */
export class ApiProblem extends Error {
  override name = "ApiProblem";
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  readonly said: Problem["said"];
  readonly fields: NonNullable<Problem["errors"]>;
  readonly requestId: string;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.hint = problem.hint ?? "";
    this.said = problem.said;
    this.fields = problem.errors ?? [];
    this.requestId = problem.request_id ?? "";
  }

  /** What somebody who helps wants to see. */
  get details(): string {
    const fields = this.fields.map(({ field, message }) => `  ${field}: ${message}`);
    return [`${this.status} ${this.code}: ${this.message}`, ...fields, this.requestId && `request id: ${this.requestId}`]
      .filter(Boolean)
      .join("\n");
  }
}

export const offline = () =>
  new ApiProblem({ title: "Offline", status: 0, code: "offline", detail: i18next.t("errors.offline"), hint: i18next.t("errors.offlineHint") });

interface OpenAIError { error?: { message: string; code: string | null; param: string | null } }

/** Reads a failed response; a body that is no problem document still becomes one. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const requestId = response.headers.get("x-request-id") ?? "";
  const plain: Problem = {
    title: response.statusText || "Error", status: response.status, code: "http_error",
    detail: `The server answered ${response.status}.`, request_id: requestId,
  };
  try {
    const body = (await response.json()) as Partial<Problem> & OpenAIError;
    if (body.error) {
      // At /v1 the server speaks as OpenAI does.
      const { message, code, param } = body.error;
      const errors = param ? [{ field: param, message }] : [];
      return new ApiProblem({ ...plain, detail: message, code: code ?? plain.code, errors });
    }
    return new ApiProblem({ ...plain, ...body, status: response.status, request_id: body.request_id || requestId });
  } catch {
    return new ApiProblem(plain);
  }
}

export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  return new ApiProblem({ title: "Error", status: 0, code: "client_error", detail: error instanceof Error ? error.message : String(error) });
}
