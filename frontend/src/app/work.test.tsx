import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import { queryClient } from "@/app/services";
import { open } from "@/mocks/install";

const user = userEvent.setup({ delay: null });
const slow = { timeout: 20_000 };

describe("Benchmark", () => {
  it("measures in rounds against a goal, and tells the share that kept it", async () => {
    const atelier = await open("/chat/benchmark", { zoo: true });
    const levels = await screen.findByLabelText("Requests at once", {}, slow);
    await user.clear(levels);
    await user.type(levels, "1, 2");
    await user.type(screen.getByLabelText("Rounds"), "{backspace}2");
    const goal = screen.getByLabelText("TTFT at most, in ms");
    await user.type(goal, "x");
    expect(screen.getByRole("button", { name: "Measure" })).toBeDisabled();
    await user.clear(goal);
    await user.type(goal, "200");
    // A LoRA is measured under its own name, as /v1 lists it.
    await user.click(screen.getByRole("combobox", { name: /^Models/ }));
    await user.click(await screen.findByRole("option", { name: /Pirate talk.*LoRA on SmolLM3 3B/ }, slow));
    await user.keyboard("{Escape}");
    await user.click(screen.getByRole("button", { name: "Measure" }));
    const figures = await screen.findByRole("region", { name: "All figures" }, slow);
    await waitFor(() => expect(within(figures).getAllByRole("cell", { name: "96%" })).toHaveLength(4), slow);
    expect(atelier.work.benchmarks[0]?.settings).toMatchObject({ models: ["smol", "smol-pirate"], rounds: 2, ttft_goal_ms: 200, tpot_goal_ms: null, concurrency: [1, 2] });
  });
});

describe("Batches", () => {
  it("tells how far one is, what it took, and stops it", async () => {
    const atelier = await open("/jobs/batches", { stepMs: 20 });
    expect(await screen.findByText("No batches yet", {}, slow)).toBeVisible();
    const file = { id: "file-1", object: "file" as const, bytes: 160, created_at: 0, filename: "questions.jsonl", purpose: "batch", status: "processed" as const };
    atelier.work.files.set(file.id, { file, lines: Array.from({ length: 8 }, (_, at) => `{"custom_id": "${at}"}`) });
    await atelier.handle(new Request("http://mock/v1/batches", { method: "POST", body: JSON.stringify({ input_file_id: file.id, endpoint: "/v1/chat/completions" }) }));
    void queryClient.invalidateQueries();
    const row = (await screen.findByText("questions.jsonl", {}, slow)).closest("li") as HTMLElement;
    await user.click(within(row).getByRole("button", { name: "Stop" }));
    await waitFor(() => expect(row).toHaveAttribute("data-status", "cancelled"), slow);
    expect(atelier.work.batches[0]?.usage.total_tokens).toBe((atelier.work.batches[0]?.request_counts.completed ?? 0) * 64);
  });
});
