/** Prompts and styles of the mock API. */
import type { PromptOut, StyleOut } from "@/api/types";

const json = (status: number, body?: unknown) => new Response(body === undefined ? null : JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

export class MockPrompts {
  #used: PromptOut[] = [];
  #styles: StyleOut[] = [{ id: "sty_01", name: "Picture book", prompt: "{prompt}, soft colours, thick outlines", negative_prompt: "photo" }];
  #next = 2;

  note(prompt: string, negative_prompt: string): void {
    const known = this.#used.find((one) => one.prompt === prompt && one.negative_prompt === negative_prompt);
    const one = known ?? { id: `prm_${this.#next++}`, prompt, negative_prompt, favourite: false, uses: 0, used_at: "" };
    this.#used = [{ ...one, uses: one.uses + 1, used_at: new Date().toISOString() }, ...this.#used.filter((each) => each !== known)];
  }

  async answer(request: Request, url: URL, area: string, id: string): Promise<Response> {
    if (area === "styles") return this.#style(request, id);
    if (id === "translate") return this.#translated(((await request.json()) as { text: string }).text);
    const one = this.#used.find((each) => each.id === id);
    if (request.method === "GET") {
      const kept = url.searchParams.get("favourite") === "true";
      return json(200, { items: this.#used.filter((each) => each.prompt.includes(url.searchParams.get("q") ?? "") && (!kept || each.favourite)) });
    }
    if (request.method === "PATCH" && one) {
      one.favourite = ((await request.json()) as { favourite: boolean }).favourite;
      return json(200, one);
    }
    this.#used = this.#used.filter((each) => (id ? each.id !== id : each.favourite));
    return json(204);
  }

  #translated(text: string): Response {
    if (!/^un /.test(text)) return json(200, { text, model: null, changed: false, reason: "english" });
    return json(200, { text: "a red dragon with wings", model: "lore", changed: true, reason: null });
  }

  async #style(request: Request, id: string): Promise<Response> {
    if (request.method === "GET") return json(200, { items: this.#styles });
    if (request.method === "DELETE") {
      this.#styles = this.#styles.filter((each) => each.id !== id);
      return json(204);
    }
    const style = { ...((await request.json()) as Omit<StyleOut, "id">), id: id || `sty_${this.#next++}` };
    this.#styles = [...this.#styles.filter((each) => each.id !== id), style];
    return json(id ? 200 : 201, style);
  }
}
