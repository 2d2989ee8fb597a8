/** The prompt in English, on the Generate page. */
import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { open } from "@/mocks/install";

const user = userEvent.setup({ delay: null });
const slow = { timeout: 20_000 };
const box = () => screen.findByLabelText("What should it show?", {}, slow);
const button = () => screen.getByRole("button", { name: "Translate the prompt into English" });

it("draws by the translation, remembers what was typed, and gives it back", async () => {
  const atelier = await open("/");
  await user.click(await box());
  await user.paste("un dragon rouge avec des ailes");
  await user.click(button());
  await waitFor(async () => expect(await box()).toHaveValue("a red dragon with wings"), slow);
  await user.click(screen.getByRole("button", { name: "Generate" }));
  await waitFor(() => expect(atelier.jobs[0]?.request).toMatchObject({ prompt: "a red dragon with wings", typed_prompt: "un dragon rouge avec des ailes" }), slow);
  await user.click(screen.getByRole("button", { name: "Undo" }));
  expect(await box()).toHaveValue("un dragon rouge avec des ailes");
});

it("says why nothing was changed, and drops what was typed once the words are others", async () => {
  const atelier = await open("/");
  await user.click(await box());
  expect(button()).toBeDisabled();
  await user.paste("a red dragon");
  await user.click(button());
  expect(await screen.findByText("This is English already.", {}, slow)).toBeVisible();
  await user.clear(await box());
  await user.paste("un dragon");
  await user.click(button());
  await waitFor(async () => expect(await box()).toHaveValue("a red dragon with wings"), slow);
  await user.type(await box(), " and a hat");
  await user.click(screen.getByRole("button", { name: "Generate" }));
  await waitFor(() => expect(atelier.jobs[0]?.request).toMatchObject({ prompt: "a red dragon with wings and a hat" }), slow);
  expect(atelier.jobs[0]?.request).not.toHaveProperty("typed_prompt");
});
