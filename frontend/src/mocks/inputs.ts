/** Answers for /api/inputs, and what the requests that start from a picture come to. */
import type { ImageOut, InputOut, Problem } from "@/api/types";

import { iso } from "./data.ts";

interface Kept { known: InputOut; data: ArrayBuffer; type: string }
interface Asked { image?: string; width?: number | null; height?: number | null; left?: number; right?: number; top?: number; bottom?: number; scale?: number; fps?: number; frames?: number | null }

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** A file whose name begins with "refuse" is refused. */
export class MockInputs {
  #kept = new Map<string, Kept>();
  #next = 1;

  async answer(request: Request, url: URL): Promise<Response> {
    const [, , , id = "", verb = ""] = url.pathname.split("/");
    if (request.method === "POST") return this.take(await request.formData(), url.searchParams.get("mask") === "true");
    const found = this.#kept.get(id);
    if (!found) return refusal(404, "input_not_found", "There is no such upload.");
    if (verb === "file") return new Response(found.data, { headers: { "Content-Type": found.type } });
    return json(200, found.known);
  }

  async take(form: FormData, mask: boolean): Promise<Response> {
    const file = form.get("file");
    if (!(file instanceof File)) return refusal(422, "bad_request", "The form has no file named `file`.");
    if (file.name.startsWith("refuse")) return refusal(422, "input_refused", "The file is not a picture that can be read.", "Send a PNG, JPEG or WebP.");
    const id = `inp_${String(this.#next++).padStart(20, "0")}`;
    const data = await file.arrayBuffer();
    const [width, height] = mask ? [64, 64] : sizeOfPng(data);
    const known = { id, width, height, bytes: file.size, sha256: id.padEnd(64, "0"), url: `/api/inputs/${id}/file`, created_at: iso(Date.now()) };
    this.#kept.set(id, { known, data, type: file.type });
    return json(201, known);
  }

  /** What the server decides about a request that starts from a picture: its task and its size. */
  resolve(path: string, asked: Asked, images: ImageOut[]): object {
    const task = path.replaceAll("-", "_");
    const picture = images.find((image) => image.id === asked.image) ?? this.#kept.get(asked.image ?? "")?.known;
    if (!picture) return { task };
    const { left = 0, right = 0, top = 0, bottom = 0 } = asked;
    if (task === "outpaint") return { task, width: picture.width + left + right, height: picture.height + top + bottom };
    if (task === "upscale") return { task, width: Math.round(picture.width * (asked.scale ?? 2)), height: Math.round(picture.height * (asked.scale ?? 2)) };
    return { task, width: asked.width ?? picture.width, height: asked.height ?? picture.height };
  }
}

/** From its header; anything else is taken for a small picture. */
function sizeOfPng(data: ArrayBuffer): [number, number] {
  const view = new DataView(data);
  return data.byteLength > 24 && view.getUint32(0) === 0x89504e47 ? [view.getUint32(16), view.getUint32(20)] : [320, 240];
}

function refusal(status: number, code: string, detail: string, hint = ""): Response {
  const body: Problem = { type: "about:blank", title: code, status, detail, code, errors: [], hint, said: null, request_id: "req_mock_01" };
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json" } });
}
