/** Pictures from pictures, on the Generate page. Files and masks need a real browser: see e2e/tasks.spec.ts. */
import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { changeTask } from "@/features/generate/tasks";
import { open } from "@/mocks/install";

const user = userEvent.setup({ delay: null });
const slow = { timeout: 20_000 };
const task = (name: string) => screen.findByRole("radio", { name }, slow);
const send = () => user.click(screen.getByRole("button", { name: "Generate" }));

it("starts from a picture of the gallery by its address, with its words", async () => {
  const atelier = await open("/?input=img_000003", { images: 6 });
  expect(await task("Change")).toBeChecked();
  await waitFor(() => expect(screen.getByLabelText("What should it show?")).toHaveValue(atelier.images[3]?.prompt));
  expect(window.location.search).toBe("");
  await send();
  await waitFor(() => expect(atelier.jobs[0]?.request).toMatchObject({ image: "img_000003", strength: 0.6, width: 224, height: 296, resolved: { task: "image_to_image" } }), slow);
});

it("makes a result the next input, and goes on from there", async () => {
  const atelier = await open("/");
  await user.click(await screen.findByLabelText("What should it show?", {}, slow));
  await user.paste("a fox");
  await send();
  const run = await screen.findByRole("article", { name: "a fox" }, slow);
  await user.click(await within(run).findByRole("button", { name: "Use as input" }, slow));
  await user.click(await task("Upscale"));
  await user.click(screen.getByRole("radio", { name: "× 4" }));
  expect(screen.getByText("It comes to 1024 × 1024.")).toBeVisible();
  expect(screen.getByText("nothing, only enlarged")).toBeVisible();
  act(() => changeTask({ redraw: 0.3 }));
  expect(screen.getByText(/^Creatures was made for 256 × 256/)).toBeVisible();
  expect(screen.queryByRole("group", { name: "Shape" })).toBeNull();
  await user.clear(screen.getByLabelText("What should it show?"));
  await send();
  await waitFor(() => expect(atelier.jobs[0]?.request).toMatchObject({ scale: 4, image: expect.stringMatching(/^img_/), resolved: { width: 1024, height: 1024 } }), slow);
  expect(await screen.findByRole("article", { name: "Upscale" }, slow)).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Take the picture away" }));
  expect(screen.queryByRole("radio", { name: "Upscale" })).toBeNull();
});

it("asks how far the picture goes on, and for a mask, before anything is sent", async () => {
  const atelier = await open("/?input=img_000000&do=outpaint", { images: 1 });
  expect(await task("Outpaint")).toBeChecked();
  await send();
  expect(await screen.findByText(/Drag an edge outwards first/)).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Wider" }));
  await user.clear(screen.getByRole("textbox", { name: "Top edge" }));
  await user.type(screen.getByRole("textbox", { name: "Top edge" }), "30{Enter}");
  expect(screen.getByRole("textbox", { name: "Top edge" })).toHaveValue("32");
  expect(screen.getByText("It comes to 384 × 288.")).toBeVisible();
  await user.click(screen.getByRole("radio", { name: "Inpaint" }));
  await send();
  expect(await screen.findByText(/Paint over what is to be made anew first/)).toBeVisible();
  expect(atelier.jobs).toHaveLength(0);
});

it("offers to animate when a video model is there", async () => {
  const atelier = await open("/?input=img_000000&do=animate", { images: 1, zoo: true });
  expect(await task("Animate")).toBeChecked();
  expect(screen.queryByLabelText("What should it show?")).toBeNull();
  await send();
  await waitFor(() => expect(atelier.jobs[0]?.request).toMatchObject({ model: "stable-video-diffusion-small", fps: 7, resolved: { task: "image_to_video" } }), slow);
  const run = await screen.findByRole("article", { name: "Animate" }, slow);
  await waitFor(() => expect(run.querySelector("[data-video]")).not.toBeNull(), slow);
});

it("does not offer to animate without one", async () => {
  await open("/?input=img_000000", { images: 1 });
  await task("Change");
  expect(screen.queryByRole("radio", { name: "Animate" })).toBeNull();
});
