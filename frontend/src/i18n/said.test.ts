/** The server's sentences in the reader's language. */
import { beforeEach, describe, expect, it } from "vitest";

import { setLanguage, startI18n } from "./index";
import { aboutModel, said, titleOf } from "./said";

beforeEach(async () => {
  await startI18n();
  await setLanguage("fr");
});

const sentence = (code: string, params: Record<string, unknown> = {}, message = "As sent.", hint = "") => ({ code: "any", message, hint, said: { code, params } });

describe("said", () => {
  it("says what the code says, in the reader's language", async () => {
    expect(said(sentence("worker.disk_full"))).toEqual({ text: "Le disque est plein.", hint: "Libérez de la place dans le dossier des données, puis réessayez." });
    await setLanguage("es");
    expect(said(sentence("worker.disk_full")).text).toBe("El disco está lleno.");
  });

  it("takes the code of the error itself where it has one sentence only", () => {
    expect(said({ code: "job_not_found", message: "There is no job 'x'." }).text).toBe("Cette tâche n’existe pas.");
  });

  it("shows what the server wrote when there are no words for it", () => {
    expect(said(sentence("new.server", {}, "Something new.", "Do this."))).toEqual({ text: "Something new.", hint: "Do this." });
    expect(said({ code: "odd:code{{x}}", message: "Odd." }).text).toBe("Odd.");
    expect(said({ message: null }).text).toBe("");
  });

  it("fills values in: sizes, shares, plurals, words that stand for a value", () => {
    const held = said(sentence("waiting.memory_held", { model: "qwen", bytes: 61e9, doing: "busy" })).text;
    expect(held).toBe("qwen utilise 56,8 GiB (au travail)");
    expect(said(sentence("environment.building", { engine: "image", fraction: 0.42 })).text).toMatch(/^Le moteur d’images .*\(42\s%\)\.$/);
    expect(said(sentence("remedy.shorter_context", { context: 16384 })).text).toMatch(/^Permettre 16\s384 jetons/);
    expect(said(sentence("build.downloads", { count: 1 })).text).toBe("Téléchargement de 1 paquet");
    expect(said(sentence("build.downloads", { count: 61 })).text).toBe("Téléchargement de 61 paquets");
    const unfit = said(sentence("request.lora_unfit", { lora: "ink", base: "sdxl", model: "creatures", family: "sd15" }));
    expect(unfit).toEqual({ text: "Le LoRA ink a été fait pour SDXL et ne va pas avec creatures, qui est SD 1.5.", hint: "Prenez un LoRA fait pour SD 1.5, ou un modèle SDXL." });
    expect(said(sentence("environment.missing", { engine: "robots", fraction: 0 })).text).toContain("Le moteur robots");
    expect(said(sentence("chat_engine.not_built", { engine: "transformers_chat", better: "vllm_cpu_chat" })).text).toMatch(/^transformers\s: vLLM \(CPU\) conviendrait/);
  });

  it("adds what a worker was doing, and what broke a job off", () => {
    expect(said(sentence("worker.out_of_memory", { phase: "loading" })).text).toBe("Le processus a manqué de mémoire. Il chargeait le modèle.");
    const poison = said(sentence("poison", { count: 2, cause: "worker.exit_code", status: 3, phase: "busy" }, "As sent.", "Server's hint."));
    expect(poison.text).toBe("Cette tâche a été interrompue 2 fois\u202f; elle n’est plus relancée. Le processus s’est terminé avec le code 3. Il travaillait à une tâche.");
    expect(poison.hint).toBe("Les dernières lignes du processus en disent plus.");
  });

  it("names the fields of a request that is not right", () => {
    const fields = [{ field: "steps", message: "Input should be…", said: { code: "field.less_than_equal", params: { le: 200 } } }];
    expect(said({ code: "validation_failed", message: "steps: …", fields }).text).toBe("Certains champs ne conviennent pas. steps – Au plus 200.");
  });

  it("takes values as they are: no markup of ours, no options", () => {
    const name = "$t(common.undo) {{count}} <b>";
    expect(said(sentence("probe.unreadable", { name, lng: "en", ns: "translation" })).text).toBe(`${name} est illisible.`);
  });
});

it("names jobs that the server asked of itself, and models that ship with Atelier", () => {
  expect(titleOf({ kind: "environment.build", title: "Set up the image engine", request: { environment: "image" } })).toBe("Installer le moteur d’images");
  expect(titleOf({ kind: "image.generate", title: "un dragon", request: {} })).toBe("un dragon");
  const model = { key: "creatures", source: "embedded", description: "Ships with Atelier." };
  expect(aboutModel(model)).toMatch(/^Livré avec Atelier/);
  expect(aboutModel({ ...model, source: "imported" })).toBe("Ships with Atelier.");
});
