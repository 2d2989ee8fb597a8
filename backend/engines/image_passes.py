"""How a task's pictures come about: which pipelines run one after another, from what, and what is done in between.

words alone        text                       (`latents` drawn here only where a variation moves them)
a start picture    image, from its latents    or a reference that the model looks at, and pure noise
a mask as well     inpaint                    or image, with everything outside put back after every step
hires              after any of these but the last: enlarged, then image once more
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from engines.engine import RunFailed
from engines.image_batch import RowPrompts
from engines.image_checks import MAX_STEPS
from engines.image_composition import side_by_side
from engines.image_families import Family, sibling
from engines.image_inputs import Canvas, canvas
from engines.image_latents import Outside, encode, enlarge, pack, unpack
from engines.image_noise import Noise
from engines.image_prompts import Prompts
from engines.image_sampling import Sampling, tell
from engines.image_steps import Schedule, Steps, from_picture, more_steps
from engines.image_upscalers import Upscalers
from engines.protocol import Hires, TextToImage

# How pixels are enlarged; with "latent" they are only where there is no second pass to enlarge latents for.
UPSCALERS = {
    "latent": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


class Pipelines:
    """The loaded pipeline and those made of its parts. `own_scheduler` is the model's, as it was published."""

    def __init__(self, pipe: Any, family: Family) -> None:
        self.loaded, self.family, self.own_scheduler = pipe, family, pipe.scheduler
        self._made: dict[str, Any] = {}

    def named(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = sibling(self.loaded, name)
        return self._made[name]

    def forget(self) -> None:
        """Those made of parts hold on to them; a parked model's parts must be free to go."""
        self._made.clear()


def task_of(task: TextToImage) -> str:
    """The word for it in recipes."""
    if task.inpaint is not None:
        return "inpaint"
    return "image_to_image" if task.start is not None else "text_to_image"


def schedules(task: TextToImage, family: Family) -> list[Schedule]:
    """The passes of each picture, in their order. Raises RunFailed for a task that the family cannot do."""
    check_task(task, family)
    every = Schedule(task.steps, task.steps)
    if task.start is None:
        first = every
    else:
        first = from_picture(task.steps, task.start.strength)
        if family.start == "reference" and first.kept:
            first = every
    second = [] if task.hires is None else [more_steps(task.hires.steps, task.hires.strength, MAX_STEPS)]
    return [first, *second]


def check_task(task: TextToImage, family: Family) -> None:
    """Raises RunFailed for what this family cannot do."""
    if task.start is None and task.inpaint is not None:
        raise RunFailed("no_start", "a mask needs a picture to lie on", "Give a start picture as well.")
    if task.start is None and family.text is None:
        raise RunFailed(
            "unfit_task",
            "this model makes no pictures from words alone",
            "Give it a picture to start from, and a mask if it only repaints; or take another model.",
            sentence="no_text_to_image",
        )
    if task.start is not None and not (family.image or (task.inpaint and family.inpaint)):
        raise RunFailed(
            "unfit_task",
            "this model does not start from a picture",
            "If it repaints parts, give it a mask; or take another model.",
            sentence="no_image_to_image",
        )
    if task.hires is None:
        return
    if family.image is None or task.inpaint is not None:
        raise RunFailed(
            "unfit_task",
            "a second pass goes with whole pictures, on a model that can start from one",
            "Make the picture first, then enlarge it.",
            sentence="no_hires",
        )
    if task.hires.network is None and task.hires.upscaler not in UPSCALERS:
        known = ", ".join(UPSCALERS)
        raise RunFailed("invalid_upscaler", f"upscaler must be one of {known}", known=known)


def begun_from(task: TextToImage, upscalers: Upscalers, steps: Steps) -> Canvas | None:
    """The picture that a task starts from, at its size; None where it starts from words. Raises RunFailed."""
    if (start := task.start) is None:
        return None
    size, enlarge = (task.width, task.height), None
    if start.upscaler is not None:
        enlarge = partial(upscalers.enlarged, use=start.upscaler, size=size, between=steps.between_tiles)
    return canvas(start, task.inpaint, *size, enlarge)


class Passes:
    """One task's passes over one batch of pictures after another."""

    def __init__(
        self,
        pipelines: Pipelines,
        prompts: Prompts | RowPrompts,
        task: TextToImage,
        samplings: list[Sampling],
        steps: Steps,
        canvas: Canvas | None,
        upscalers: Upscalers,
    ) -> None:
        self._pipelines, self._prompts, self._task = pipelines, prompts, task
        self._samplings, self._steps, self._canvas, self._upscalers = samplings, steps, canvas, upscalers
        self._schedules = schedules(task, pipelines.family)
        self._encoded: torch.Tensor | None = None

    def make(self, first: int, pictures: int) -> list[Image.Image]:
        """The task's pictures from the number `first` on."""
        task, schedule = self._task, self._schedules[0]
        self._first, self._count = first, pictures
        to_latents = task.hires is not None and _enlarges_latents(task.hires) and self._schedules[1].kept > 0
        size = (task.width, task.height)
        if self._canvas is None:
            made = self._from_words(schedule, size, to_latents)
        elif not schedule.kept:
            made = [self._canvas.whole] * pictures
            return made if task.hires is None else self._again(made)
        elif self._canvas.mask is not None and self._pipelines.family.inpaint is not None:
            made = self._repainted(schedule, size)
        else:
            made = self._from_picture(schedule, size, self._start(), self._canvas.mask, to_latents)
        if task.hires is not None:
            return self._again(made)
        return made if self._canvas is None else [self._canvas.put_back(image) for image in made]

    # the passes

    def _from_words(self, schedule: Schedule, size: tuple[int, int], to_latents: bool) -> Any:
        pipe, noise = self._pipelines.named(self._text), self._noise()
        more = {"latents": self._drawn(pipe, noise, size)} if noise.moves else {}
        return self._call(pipe, schedule, size, noise, to_latents=to_latents, **more)

    def _from_picture(
        self,
        schedule: Schedule,
        size: tuple[int, int],
        latents: torch.Tensor,
        mask: Image.Image | None,
        to_latents: bool,
    ) -> Any:
        family, noise = self._pipelines.family, self._noise()
        assert family.image is not None
        pipe = self._pipelines.named(family.image)
        after = None if mask is None else Outside(latents, mask, noise, family)
        more: dict[str, Any] = {"image": latents.expand(self._count, -1, -1, -1)}
        if family.start == "reference":
            more["latents"] = self._drawn(pipe, noise, size)
        return self._call(pipe, schedule, size, noise, after=after, to_latents=to_latents, **more)

    def _repainted(self, schedule: Schedule, size: tuple[int, int]) -> Any:
        """By a denoiser that sees the picture and its mask."""
        assert self._canvas is not None and self._pipelines.family.inpaint is not None
        pipe, noise = self._pipelines.named(self._pipelines.family.inpaint), self._noise()
        more: dict[str, Any] = {"image": self._canvas.image, "mask_image": self._canvas.mask}
        if noise.moves and schedule.kept == schedule.steps and not self._pipelines.family.packed:
            more["latents"] = self._drawn(pipe, noise, size)  # from pure noise, the scheduler is not asked to add any
        return self._call(pipe, schedule, size, noise, **more)

    def _again(self, made: Any) -> list[Image.Image]:
        """The second pass, over pictures or over their latents."""
        hires = self._task.hires
        assert hires is not None
        pipe, family, size = self._pipelines.loaded, self._pipelines.family, (hires.width, hires.height)
        if isinstance(made, torch.Tensor):
            factor = pipe.vae_scale_factor
            small = unpack(made, family, self._task.height // factor, self._task.width // factor)
            latents = enlarge(small, hires.height // factor, hires.width // factor)
        else:
            large = [self._enlarged(image, hires, size) for image in made]
            if not self._schedules[1].kept:
                return large
            latents = torch.cat([encode(pipe, image) for image in large])
        noise, name = self._noise(), "FluxImg2ImgPipeline" if family.start == "reference" else family.image
        assert name is not None
        again = {"image": latents.expand(self._count, -1, -1, -1)}
        return self._call(self._pipelines.named(name), self._schedules[1], size, noise, number=1, **again)

    # what they are made of

    def _enlarged(self, image: Image.Image, hires: Hires, size: tuple[int, int]) -> Image.Image:
        if hires.network is None:
            return image.resize(size, UPSCALERS[hires.upscaler])
        larger = self._upscalers.enlarged(image, hires.network, size, self._steps.between_tiles)
        return larger.resize(size, Image.Resampling.LANCZOS)

    @property
    def _text(self) -> str:
        assert self._pipelines.family.text is not None
        return self._pipelines.family.text

    def _noise(self) -> Noise:
        chosen = slice(self._first, self._first + self._count)
        return Noise(self._task.seeds[chosen], self._task.subseeds[chosen], self._task.subseed_strength)

    def _start(self) -> torch.Tensor:
        """The start picture's latents, encoded once for all batches."""
        assert self._canvas is not None
        if self._encoded is None:
            self._encoded = encode(self._pipelines.loaded, self._canvas.image)
        return self._encoded

    def _drawn(self, pipe: Any, noise: Noise, size: tuple[int, int]) -> torch.Tensor:
        factor = pipe.vae_scale_factor
        shape = (self._count, pipe.vae.config.latent_channels, size[1] // factor, size[0] // factor)
        return pack(noise.drawn(shape, pipe._execution_device, pipe.dtype), self._pipelines.family)

    def _call(
        self,
        pipe: Any,
        schedule: Schedule,
        size: tuple[int, int],
        noise: Noise,
        *,
        number: int = 0,
        after: Any = None,
        to_latents: bool = False,
        **more: Any,
    ) -> Any:
        """One pass, the task's first or second by `number`: pictures, or the pipeline's own latents."""
        pipe.scheduler = self._samplings[number].scheduler(self._pipelines.own_scheduler)
        noise.follow(pipe.scheduler)
        tell(pipe.scheduler, self._task.sampler_settings, noise.generators)
        self._steps.start_pass(self._first, self._count, pipe.scheduler, size, after)
        reading = self._prompts.reading(pipe, self._task) if self._pipelines.family.embeddings else None
        if reading is not None:
            self._steps.follow(reading)
        arguments = {
            "width": size[0],
            "height": size[1],
            "max_area": size[0] * size[1],  # Kontext's own would be a square of 1024
            "num_inference_steps": schedule.steps,
            "strength": schedule.strength,
            "guidance_scale": self._task.guidance_scale,
            "num_images_per_prompt": self._count,
            **self._prompts.arguments(pipe, self._task),
            "generator": noise.generators,
            "output_type": "latent" if to_latents else "pt",
            "callback_on_step_end": self._steps,
            "callback": lambda step, at, latents: self._steps(pipe, step, at, {"latents": latents}),  # PixArt's
            "use_resolution_binning": False,  # PixArt's and Sana's: the size is the one that was asked for
            **more,
        }
        known = inspect.signature(type(pipe).__call__).parameters
        if "callback_on_step_end" in known:
            del arguments["callback"]
        with side_by_side(pipe, reading, self._count):
            made = pipe(**{name: value for name, value in arguments.items() if name in known}).images
        return made if to_latents else _pictures(made)


def _enlarges_latents(hires: Hires) -> bool:
    return hires.network is None and hires.upscaler == "latent"


def _pictures(pixels: torch.Tensor) -> list[Image.Image]:
    """From [pictures, 3, height, width], 0 to 1."""
    levels: np.ndarray = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in levels]
