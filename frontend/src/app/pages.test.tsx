import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import { change, settings } from "@/features/generate/settings";
import { changeTask, taskForm } from "@/features/generate/tasks";
import { setLanguage } from "@/i18n";
import { device, environment, job, worker } from "@/mocks/data";
import { open } from "@/mocks/install";

const user = userEvent.setup({ delay: null });
const slow = { timeout: 20_000 };
const prompt = () => screen.findByLabelText("What should it show?", {}, slow);

/** Types `text` and presses Ctrl Enter. */
async function send(text: string) {
  await user.click(await prompt());
  if (text) await user.paste(text);
  await user.keyboard("{Control>}{Enter}{/Control}");
}

describe("Generate", () => {
  it("teaches when there is nothing, and an example fills the prompt", async () => {
    await open("/");
    await user.click(await screen.findByRole("button", { name: /red dragon/ }, slow));
    expect(await prompt()).toHaveValue("a red dragon with wings on a blue background");
  });

  it("makes pictures from two keystrokes", async () => {
    await open("/");
    await send("a fox");
    const run = await screen.findByRole("article", { name: "a fox" }, slow);
    expect(await within(run).findByRole("link", { name: /Picture 1: a fox/ }, slow)).toHaveAttribute("href", expect.stringContaining("/gallery/"));
    await user.click(within(run).getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(within(run).getByText("Deleted")).toHaveFocus());
  });

  it("follows a style to its new name, and lets one go that is not there any more", async () => {
    await open("/");
    await user.click(await screen.findByRole("button", { name: "Prompts and styles" }, slow));
    await user.click(await screen.findByRole("radio", { name: "Styles" }, slow));
    await user.click(await screen.findByRole("checkbox", { name: "Picture book" }, slow));
    await user.click(screen.getByRole("button", { name: /^Picture book/ }));
    await user.clear(screen.getByLabelText("Name"));
    await user.keyboard("Paper{Enter}");
    expect(await screen.findByRole("checkbox", { name: "Paper" }, slow)).toBeChecked();
    expect(settings.get().styles).toEqual(["Paper"]);
    act(() => change({ styles: ["Paper", "Lost"] }));
    await user.click(await screen.findByRole("checkbox", { name: "Lost" }, slow));
    expect(settings.get().styles).toEqual(["Paper"]);
    expect(screen.getByRole("checkbox", { name: "Paper" })).toBeEnabled();
    act(() => change({ styles: Array.from({ length: 10 }, (_, number) => `Other ${number}`) }));
    expect(screen.getByRole("checkbox", { name: "Paper" })).toBeDisabled();
    expect(screen.getByText(/10 are the most/)).toHaveAttribute("role", "status");
    act(() => change({ styles: [] }));
  });

  it("says so when the model of the address is not there", async () => {
    await open("/?model=nobody");
    const note = await screen.findByText(/^“nobody” is not here, or not for this\. .+ is taken\.$/, {}, slow);
    expect(note).toHaveAttribute("role", "status");
    // It stands there before it says anything: a region that comes with its words is not read out.
    act(() => change({ model: "creatures" }));
    expect(note).toBeEmptyDOMElement();
    act(() => change({ model: "someone" }));
    expect(note).toHaveTextContent("“someone” is not here");
  });

  it("asks for a prompt instead of sending nothing", async () => {
    const atelier = await open("/");
    await send("");
    expect(await screen.findByText("Write a prompt first.")).toBeVisible();
    expect(atelier.jobs).toHaveLength(0);
  });

  it("gives the words at the cursor more weight by keys, and less", async () => {
    await open("/");
    const words = await prompt();
    await user.clear(words);
    await user.type(words, "a red fox");
    await user.keyboard("{Control>}{ArrowUp}{ArrowUp}{/Control}");
    expect(words).toHaveValue("a red (fox:1.2)");
    expect(settings.get().prompt).toBe("a red (fox:1.2)");
    await user.keyboard("{Control>}{ArrowDown}{ArrowDown}{/Control}");
    expect(words).toHaveValue("a red fox");
  });

  it("shows why it failed, what to do, and tries again", async () => {
    await open("/");
    await send("fail:oom whale");
    const alert = await screen.findByRole("alert", {}, slow);
    expect(alert).toHaveTextContent("There was not enough memory.");
    expect(alert).toHaveTextContent("Ask for smaller or fewer pictures");
    change({ prompt: "something else", steps: 7 });
    await user.click(within(alert).getByRole("button", { name: "Change the settings" }));
    expect(await prompt()).toHaveValue("fail:oom whale");
    expect(settings.get()).toMatchObject({ steps: 30, keepSeed: false });
    await user.click(within(alert).getByRole("button", { name: "Try again" }));
    await waitFor(() => expect(screen.queryByRole("alert")).toBeNull(), slow);
  });

  it("shows the server's refusal at each of its fields, also at one that was folded away, and keeps the request id", async () => {
    await open("/");
    await send("refuse:field");
    expect((await screen.findAllByText(/At most 200/, {}, slow)).length).toBeGreaterThan(1);
    // Beside the prompt, where there is room: without a layout that is hidden.
    expect(screen.getByRole("button", { name: "Advanced", hidden: true })).toHaveAttribute("aria-expanded", "true");
    expect(screen.getByRole("textbox", { name: "CLIP skip", hidden: true })).toBeInvalid();
    await user.click(screen.getByRole("button", { name: "Details" }));
    expect(await screen.findByText(/request id: req_mock_01/)).toBeInTheDocument();
  });

  const waitsForSoftware = job("w", { status: "running", attempt: 1, waiting: { reason: "environment", message: "being built", said: { code: "environment.building", params: { engine: "image", fraction: 0.42 } } } });

  it("says what a job waits for, with the progress of the setup, whatever else is not set up", async () => {
    const building = environment({ state: "building", fraction: 0.42, message: "Downloading torch", packages: null });
    await open("/", { environments: [environment({ name: "chat-cpu", state: "missing", packages: null }), building], jobs: [waitsForSoftware] });
    expect(await screen.findByText(/Setting up the software · 42% · Downloading torch/, {}, slow)).toBeVisible();
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("offers the setup that a job waits for when nobody does it", async () => {
    await open("/", { environments: [environment({ name: "chat-cpu", packages: null }), environment({ state: "missing", packages: null })], jobs: [waitsForSoftware] });
    const alert = await screen.findByRole("alert", {}, slow);
    expect(alert).toHaveTextContent("Pictures wait until the image engine is set up.");
    expect(within(alert).getByRole("button", { name: "Try again" })).toBeVisible();
  });

  it("says what the server said in the reader's language", async () => {
    const waiting = { reason: "memory" as const, message: "waits for memory: qwen holds 61.0 GB, idle", said: { code: "waiting.memory_held", params: { model: "qwen", bytes: 64 * 1024 ** 3, doing: "idle" } } };
    const error = { code: "worker_start_failed", message: "The disk is full.", hint: "Free some space.", said: { code: "worker.disk_full", params: { phase: "loading" } } };
    await open("/jobs", { jobs: [job("w", { status: "running", waiting }), job("f", { status: "failed", error }), job("e", { kind: "environment.build", title: "Set up the image engine", status: "completed", request: { environment: "image" } })] });
    await act(() => setLanguage("fr"));
    expect(await screen.findByText(/qwen utilise 64 GiB \(inactif\)/, {}, slow)).toBeVisible();
    expect(screen.getByText("Le disque est plein. Il chargeait le modèle.")).toBeVisible();
    expect(screen.getByText("Installer le moteur d’images")).toBeVisible();
  });

  it("brings jobs under way back after a reload, and stops them", async () => {
    const atelier = await open("/", { jobs: [job("r", { status: "queued", position: 3 })] });
    expect(await screen.findByText("Number 3 in line", {}, slow)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Stop" }));
    await waitFor(() => expect(atelier.find("r")?.status).toBe("cancelled"));
  });
});

describe("Gallery", () => {
  it("teaches when empty", async () => {
    await open("/gallery");
    expect(await screen.findByText("No pictures yet", {}, slow)).toBeVisible();
  });

  it("opens a picture at its own address, with its recipe", async () => {
    await open("/gallery/img_000003", { images: 9 });
    const dialog = await screen.findByRole("dialog", {}, slow);
    expect(await within(dialog).findByText("Recipe", {}, slow)).toBeVisible();
    expect(within(dialog).getByText("ddim")).toBeVisible();
  });

  it("deletes at once and takes it back", async () => {
    const atelier = await open("/gallery/img_000003", { images: 9 });
    const dialog = await screen.findByRole("dialog", {}, slow);
    await user.click(await within(dialog).findByRole("button", { name: "Delete" }, slow));
    await waitFor(() => expect(atelier.images).toHaveLength(8));
    await user.click(await screen.findByRole("button", { name: "Undo", hidden: true }));
    await waitFor(() => expect(atelier.images).toHaveLength(9));
  });

  it("shows what two pictures were made from", async () => {
    const atelier = await open("/system", { images: 4 });
    for (const [number, recipe] of [{ image: "img_000002", mask: "inp_1" }, { image: "img_gone" }].entries()) Object.assign(atelier.images[number]?.recipe ?? {}, recipe);
    act(() => window.history.pushState(null, "", "/gallery/compare/img_000000/img_000001"));
    const table = await screen.findByRole("table", {}, slow);
    expect(await within(table).findByRole("link", { name: new RegExp(atelier.images[2]?.prompt ?? "?") })).toHaveAttribute("href", "/gallery/img_000002");
    expect(await within(table).findByText("This picture is no longer here.")).toBeVisible();
    expect(within(table).getByRole("link", { name: "Open the picture that was sent" })).toHaveAttribute("href", "/api/inputs/inp_1/file");
    await user.click(screen.getByRole("button", { name: "B: Delete" }));
    expect(await screen.findByRole("dialog", { name: atelier.images[0]?.prompt })).toBeVisible();
    await waitFor(() => expect(atelier.images.map((one) => one.id)).not.toContain("img_000001"));
  });

  it("says when a picture is gone", async () => {
    await open("/gallery/nothing", { images: 2 });
    expect(await screen.findByText("This picture is gone", {}, slow)).toBeVisible();
  });
});

describe("Jobs", () => {
  const failed = job("f", { status: "failed", title: "a whale", error: { code: "out_of_memory", message: "It did not fit.", hint: "Smaller.", log_tail: "CUDA out of memory" }, started_at: "2026-11-20T10:00:00Z", finished_at: "2026-11-20T10:00:04Z" });

  it("shows where each stands, and why one failed", async () => {
    await open("/jobs", { jobs: [job("q", { title: "an owl", position: 2 }), failed] });
    expect(await screen.findByText("Number 2 in line", {}, slow)).toBeVisible();
    expect(screen.getByText("It did not fit.")).toBeVisible();
  });

  it("opens details at an address, with the log folded", async () => {
    await open("/jobs/f", { jobs: [failed] });
    const drawer = await screen.findByRole("dialog", { name: "Job details" }, slow);
    await user.click(await within(drawer).findByRole("button", { name: "Last lines of the log" }, slow));
    expect(within(drawer).getByText("CUDA out of memory")).toBeInTheDocument();
  });

  it("leads from one that failed to the form as it was", async () => {
    const asked = { prompt: "a whale", styles: ["Picture book"], model: "creatures", num_outputs: 4, steps: 40, seed: 7, image: "img_000002", loras: [{ model: "ink" }], resolved: { task: "image_to_image", prompt: "a whale, book", seeds: [7, 8, 9, 10] } };
    await open("/jobs/f", { images: 3, jobs: [{ ...failed, request: asked }] });
    changeTask({ strength: 0.1 });
    await user.click(await screen.findByRole("link", { name: "Change the settings" }, slow));
    await waitFor(() => expect(settings.get()).toMatchObject({ prompt: "a whale", styles: ["Picture book"], outputs: 4, steps: 40, seed: 7, keepSeed: true, width: null, loras: [{ key: "ink", weight: 1 }] }), slow);
    expect(await screen.findByRole("radio", { name: "Change" }, slow)).toBeChecked();
    expect(taskForm.get().strength).toBe(0.6);
    expect(window.location.search).toBe("");
  });

  it("runs a failed job again", async () => {
    const atelier = await open("/jobs", { jobs: [failed] });
    await user.click(await screen.findByRole("button", { name: "Run again" }, slow));
    await waitFor(() => expect(atelier.find("f")?.status).not.toBe("failed"));
  });
});

describe("System", () => {
  it("shows devices, workers and environments, and stops a worker", async () => {
    const atelier = await open("/system", { workers: [worker()], environments: [environment({ state: "failed", packages: null, error: { code: "network", message: "No network.", hint: "Check it.", log_tail: "timeout" } })], devices: [device()] });
    expect(await screen.findByText("NVIDIA RTX 6000 Ada", {}, slow)).toBeVisible();
    expect(screen.getByText("No network.")).toBeVisible();
    expect(await screen.findByRole("img", { name: /GPU load over the last 5 minutes: now \d+%/ }, slow)).toBeVisible();
    expect(await screen.findByText(/Install driver 600 or newer/, {}, slow)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Stop" }));
    await waitFor(() => expect(atelier.workers).toHaveLength(0));
    expect(await screen.findByText(/No model is loaded/, {}, slow)).toBeVisible();
  });
});

describe("System's parts", () => {
  it("tells who holds the memory, what slows a GPU, and that one is lost", async () => {
    const held = { pid: 7, name: "python", bytes: 1024 ** 3, worker_id: "w_01", model: "creatures" };
    await open("/system", { workers: [worker()], devices: [device({ brakes: ["heat"], processes: [held] }), device({ index: 1, problem: "GPU is lost" })] });
    expect(await screen.findByText("slowed by heat", {}, slow)).toBeVisible();
    expect(screen.getByText("The driver does not answer for this GPU")).toBeVisible();
    expect(screen.getByRole("img", { name: /creatures · 1 GiB of 1.4 GiB leased · Ready/ })).toBeVisible();
  });

  it("finds an endpoint and copies its full address", async () => {
    await open("/system");
    await user.type(await screen.findByLabelText("Find an endpoint", {}, slow), "chat compl");
    expect(await screen.findByText("/v1/chat/completions", {}, slow)).toBeVisible();
    expect(screen.queryByText("/api/gallery")).toBeNull();
    expect(screen.getByRole("button", { name: `Copy: ${location.origin}/v1/chat/completions` })).toBeVisible();
  });

  it("tells what was used of chat models: all days, one of them by the keyboard, each model", async () => {
    await open("/system");
    const chart = await screen.findByRole("slider", { name: "Tokens by day" }, slow);
    const all = chart.getAttribute("aria-valuetext");
    expect(all).toMatch(/^30 days: Tokens in [1-9][\d,]+, Tokens out [1-9][\d,]+, Requests [1-9]\d*$/);
    chart.focus();
    await user.keyboard("{ArrowLeft}{ArrowLeft}");
    expect(chart).toHaveAttribute("aria-valuetext", expect.stringMatching(/^\w+ \d+: Tokens in 72,800, Tokens out 25,200, Requests 21$/));
    const table = within(screen.getByRole("region", { name: "Usage by model" }));
    expect(table.getAllByRole("rowheader").map((one) => one.textContent)).toEqual(["qwen", "smol"]);
    await user.click(screen.getByRole("radio", { name: "7 days" }));
    await waitFor(() => expect(chart).toHaveAttribute("aria-valuetext", expect.stringMatching(/^7 days/)), slow);
    expect(chart.getAttribute("aria-valuetext")).not.toBe(all);
  });

  it("goes on from the history with live events", async () => {
    const atelier = await open("/system", { devices: [device()] });
    const chart = () => screen.findByRole("img", { name: /Machine memory over the last 5 minutes/ }, slow);
    await chart();
    const host = { cpu_percent: 3, memory_used_bytes: 61.5 * 1024 ** 3, memory_total_bytes: 64 * 1024 ** 3 };
    atelier.emit({ type: "devices.sampled", at: Date.now() / 1000 + 1, devices: atelier.devices, host });
    await waitFor(async () => expect(await chart()).toHaveAccessibleName(/now 61.5 GiB/), slow);
  });

  it("asks for figures where no socket gets through", async () => {
    const atelier = await open("/system", { devices: [device({ used_bytes: 20 * 1024 ** 3 })], sockets: false });
    const chart = () => screen.findByRole("img", { name: /GPU memory over the last 5 minutes/ }, slow);
    await chart();
    atelier.devices = [device({ used_bytes: 33 * 1024 ** 3 })];
    await waitFor(async () => expect(await chart()).toHaveAccessibleName(/now 33 GiB/), slow);
  });
});

describe("Shell", () => {
  it("asks for the token, and goes on after it", async () => {
    await open("/system", { token: "sesame" });
    const dialog = await screen.findByRole("dialog", { name: "Unlock Atelier" }, slow);
    await user.type(within(dialog).getByLabelText("Access token"), "wrong{Enter}");
    expect(await within(dialog).findByText("That token is not this Atelier's.", {}, slow)).toBeVisible();
    await user.clear(within(dialog).getByLabelText("Access token"));
    await user.type(within(dialog).getByLabelText("Access token"), "sesame{Enter}");
    expect(await screen.findByText("NVIDIA RTX 6000 Ada", {}, slow)).toBeInTheDocument();
  });

  it("goes anywhere by keyboard, and speaks French", async () => {
    await open("/");
    await prompt();
    const palette = () => waitFor(() => expect(document.activeElement).toBeInstanceOf(HTMLInputElement));
    await user.keyboard("{Control>}k{/Control}");
    await palette();
    await user.keyboard("Français{Enter}");
    expect((await screen.findAllByText("Galerie", {}, slow)).length).toBeGreaterThan(0);
    await user.keyboard("{Control>}k{/Control}");
    await palette();
    await user.keyboard("Tâches{Enter}");
    await waitFor(() => expect(window.location.pathname).toBe("/jobs"));
  });

  it("asks instead of being told where no socket gets through", async () => {
    const atelier = await open("/jobs", { jobs: [job("q", { title: "an owl", position: 2 })], sockets: false });
    expect(await screen.findByText("Number 2 in line", {}, slow)).toBeVisible();
    atelier.patch("q", { status: "running", position: null, step: 3, progress: 0.1 });
    expect(await screen.findByText(/step 3 of 30/, {}, slow)).toBeVisible();
  });

  it("says so when a page does not exist", async () => {
    await open("/nowhere");
    expect(await screen.findByText("There is no such page", {}, slow)).toBeVisible();
  });
});

describe("Models", () => {
  const card = (key: string) => document.querySelector<HTMLElement>(`[data-model="${key}"]`);
  const step = (key: string) => card(key)?.querySelector("[data-step]")?.getAttribute("data-step");

  it("shows every state in words, each with its next step", async () => {
    await open("/models", { zoo: true });
    await screen.findByRole("heading", { name: /^Pictures/ }, slow);
    expect(Object.fromEntries(["creatures", "stable-diffusion-1.5", "stable-diffusion-xl", "dreamshaper", "smol", "whisper-tiny", "sdxl-turbo", "pyannote"].map((key) => [key, step(key)]))).toEqual({
      creatures: "use", "stable-diffusion-1.5": "load", "stable-diffusion-xl": "pause", dreamshaper: "loadAgain", smol: "use", "whisper-tiny": "stop", "sdxl-turbo": "download", pyannote: "token",
    });
    expect(card("stable-diffusion-xl")).toHaveTextContent(/2.3 GiB of 6.5 GiB · 84 MiB\/s · 50 s left/);
    expect(card("dreamshaper")).toHaveTextContent("ran out of memory");
    await user.click(card("ink-wash")?.querySelector("[data-step=use]") as HTMLElement);
    await waitFor(() => expect(settings.get()).toMatchObject({ model: "stable-diffusion-1.5", loras: [{ key: "ink-wash", weight: 1, family: "sd15" }] }), slow);
  });

  it("leaves to others what is theirs: no adding, no loading", async () => {
    await open("/models/stable-diffusion-1.5", { zoo: true, role: "user" });
    const drawer = await screen.findByRole("dialog", { name: "Model" }, slow);
    expect(await within(drawer).findByText(/Only administrators/)).toBeVisible();
    expect(within(drawer).queryByRole("button", { name: "Load options…" })).toBeNull();
    expect(screen.queryByRole("button", { name: "Add a model", hidden: true })).toBeNull();
    expect(step("stable-diffusion-1.5")).toBe("use");
    expect(step("sdxl-turbo")).toBe("open");
  });

  it("says so when the hub does not answer, and keeps what was typed", async () => {
    await open("/models?add=hub", { zoo: true });
    const field = await screen.findByLabelText("Search Hugging Face", {}, slow);
    await user.type(field, "fail:hub");
    expect(await screen.findByText("The hub did not answer", {}, slow)).toBeVisible();
    expect(field).toHaveValue("fail:hub");
  });

  it("says why a download cannot start, beside its button", async () => {
    await open("/models?get=someone/huge", { zoo: true });
    expect(await screen.findByText("There is not enough room on the disk.", {}, slow)).toBeVisible();
    expect(screen.getByRole("button", { name: "Download" })).toBeDisabled();
  });
});
