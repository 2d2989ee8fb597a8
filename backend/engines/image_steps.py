"""What happens between two steps: counting, cancelling, previews. And what lies behind the noise of a step."""

from __future__ import annotations

import functools
import inspect
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

from engines.engine import Run, RunCancelled, RunFailed
from engines.failpoints import failpoint
from engines.image_previews import Previews
from engines.image_prompts import Reading
from engines.protocol import ImageToVideo, Preview, Progress, TextToImage

PREVIEW_SECONDS = 0.25
PROGRESS_SECONDS = 0.03


@dataclass(frozen=True)
class Schedule:
    """`steps` of a scheduler, of which the last `kept` are made: all from pure noise, fewer from a picture."""

    steps: int
    kept: int

    @property
    def strength(self) -> Fraction:
        """What pipelines call it. A fraction, since they multiply it by `steps` and cut or round what comes out."""
        return Fraction(self.kept, self.steps)

    def denoisings(self, scheduler: Any) -> int:
        """How many times a pipeline will call back: some schedulers take two for a step. Raises RunFailed."""
        if not self.kept:
            return 0
        shifted = "mu" in inspect.signature(scheduler.set_timesteps).parameters
        named = {"mu": 1.0} if shifted and scheduler.config.get("use_dynamic_shifting") else {}
        try:
            scheduler.set_timesteps(self.steps, **named)
        except ValueError as error:  # LCM was trained for so many and no more
            raise RunFailed(
                "invalid_steps",
                f"this scheduler cannot make {self.steps} steps",
                "Ask for fewer steps, or take another scheduler.",
                sentence="too_many_steps",
                steps=self.steps,
            ) from error
        return len(scheduler.timesteps[(self.steps - self.kept) * scheduler.order :])


def from_picture(steps: int, strength: float) -> Schedule:
    """Image-to-image: the last part of `steps`, at least one; none at all at strength 0."""
    kept = int(steps * strength + 1e-6)
    return Schedule(steps, min(steps, max(1, kept)) if strength > 0 else 0)


def more_steps(made: int, strength: float, most: int) -> Schedule:
    """A second pass: `made` steps that begin where `strength` says, as the last ones of a longer schedule. None at
    strength 0."""
    if strength <= 0:
        return Schedule(made, 0)
    steps = min(most, max(made, round(made / strength)))
    return Schedule(steps, min(made, max(1, round(steps * strength))))


class Steps:
    """The pipelines' `callback_on_step_end`: counts steps over all passes and pictures, cancels between them, sends
    previews. `total` is what all passes together will count."""

    def __init__(self, task: TextToImage | ImageToVideo, run: Run, previews: Previews, total: int) -> None:
        self._task, self._run, self._previews, self._total = task, run, previews, total
        self._before = 0  # steps of earlier passes
        self._here = 0
        self._reported = 0.0
        self._previewed = 0.0
        self._shown: deque[Preview] = deque()
        self._reading: Reading | None = None

    def follow(self, reading: Reading) -> None:
        """The words of the passes that begin from now on."""
        self._reading = reading

    def show_finished(self, preview: Preview) -> None:
        """Send a finished picture along with the next step. From any thread."""
        self._shown.append(preview)

    def start_pass(
        self, first: int, pictures: int, scheduler: Any, size: tuple[int, int], after: Callable | None = None
    ) -> None:
        """The pass over `pictures` pictures from the number `first` on, at `size` (width, height). `after`: what is
        done to the latents of each step: (pipe, index, latents) -> latents."""
        if self._run.cancelled:
            raise RunCancelled
        self._before += self._here
        self._here = 0
        self._first, self._pictures, self._size, self._after = first, pictures, size, after
        self._view = watch(scheduler)

    def between_tiles(self) -> None:
        """While pictures are enlarged: to be called again and again, as a sign of life and to cancel."""
        if self._run.cancelled:
            raise RunCancelled
        self._run.report(Progress(step=self._before + self._here, total=self._total))

    def repeat_pass(self) -> None:
        """The pass under way came to nothing: its pictures are in those that follow."""
        self._here = 0

    def __call__(
        self, pipe: Any, index: int, timestep: Any, tensors: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        failpoint("engine.mid_step")
        if self._run.cancelled:
            raise RunCancelled
        now = time.monotonic()
        self._here = (index + 1) * self._pictures
        last = getattr(pipe, "num_timesteps", None) or len(pipe.scheduler.timesteps)  # PixArt's keeps no count
        previews = self._make_previews(index) if now - self._previewed >= PREVIEW_SECONDS else []
        if previews:
            self._previewed = now
        while self._shown:
            previews.append(self._shown.popleft())
        if previews or index + 1 == last or now - self._reported >= PROGRESS_SECONDS:
            self._reported = now
            self._run.report(Progress(step=self._before + self._here, total=self._total, previews=previews))
        words = {} if self._reading is None else self._reading.changes(index, last, self._pictures)
        return words if self._after is None else {**words, "latents": self._after(pipe, index, tensors["latents"])}

    def _make_previews(self, index: int) -> list[Preview]:
        every = self._task.preview_every
        if every < 1 or (index + 1) % every:
            return []
        made = self._previews.jpegs(self._view.denoised(), self._size)
        return [Preview(index=self._first + offset, jpeg=jpeg) for offset, jpeg in enumerate(made)]


class watch:
    """Stands between a scheduler and its `step`, to say what is behind the noise (see `denoised`)."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._last: tuple[torch.Tensor, Any, torch.Tensor] | None = None
        step = scheduler.step

        @functools.wraps(step)  # pipelines look at the signature
        def watched(model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, *rest: Any, **named: Any) -> Any:
            self._last = (model_output, timestep, sample)
            return step(model_output, timestep, sample, *rest, **named)

        scheduler.step = watched

    def denoised(self) -> torch.Tensor | None:
        """The model's guess of the clean latents at the latest step, from x = a·x₀ + s·ε and what the model predicts
        (Salimans & Ho 2022, "Progressive distillation", §4 for v). None before the first step.
        """
        if self._last is None:
            return None
        output, timestep, sample = self._last
        name, config = type(self._scheduler).__name__, self._scheduler.config
        if name.startswith("FlowMatch"):
            return sample - self._scheduler.sigmas[self._scheduler.step_index - 1] * output
        if name.startswith(("Euler", "Heun", "LMS", "KDPM2")):  # x = x₀ + σ·ε
            sigma = self._scheduler.sigmas[self._scheduler.step_index - 1]
            scale = 1 / (sigma**2 + 1) ** 0.5
            sample, signal, noise = sample * scale, scale, sigma * scale
        else:
            alpha = self._scheduler.alphas_cumprod[int(timestep)]
            signal, noise = alpha**0.5, (1 - alpha) ** 0.5
        match config.get("prediction_type", "epsilon"):
            case "epsilon":
                return (sample - noise * output) / signal
            case "v_prediction":
                return signal * sample - noise * output
            case _:
                return output
