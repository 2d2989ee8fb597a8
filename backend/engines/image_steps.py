"""What happens between two steps: counting, cancelling, previews. And what lies behind the noise of a step."""

from __future__ import annotations

import functools
import time
from collections import deque
from typing import Any

import torch

from engines.engine import Run, RunCancelled
from engines.failpoints import failpoint
from engines.image_previews import Previews
from engines.image_prompts import Reading
from engines.protocol import Preview, Progress, TextToImage

PREVIEW_SECONDS = 0.25
PROGRESS_SECONDS = 0.03


class Steps:
    """The pipeline's `callback_on_step_end`: counts steps over all pictures, cancels between them, sends previews."""

    def __init__(self, task: TextToImage, run: Run, previews: Previews) -> None:
        self._task = task
        self._run = run
        self._previews = previews
        self._finished = 0  # pictures of earlier batches
        self._batch = 0
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

    def start_batch(self, scheduler: Any, size: int) -> None:
        self._finished += self._batch
        self._batch = size
        self._reading = None
        self._view = watch(scheduler)

    def repeat_batch(self) -> None:
        """The latest batch came to nothing; its pictures are in those that follow."""
        self._batch = 0

    def __call__(
        self, pipe: Any, index: int, timestep: Any, tensors: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        failpoint("engine.mid_step")
        if self._run.cancelled:
            raise RunCancelled
        now = time.monotonic()
        per_picture = pipe.num_timesteps  # some schedulers take two for a step
        previews = self._make_previews(index) if now - self._previewed >= PREVIEW_SECONDS else []
        if previews:
            self._previewed = now
        while self._shown:
            previews.append(self._shown.popleft())
        if previews or index + 1 == per_picture or now - self._reported >= PROGRESS_SECONDS:
            self._reported = now
            step = self._finished * per_picture + (index + 1) * self._batch
            self._run.report(Progress(step=step, total=per_picture * len(self._task.seeds), previews=previews))
        return self._reading.changes(index, per_picture, self._batch) if self._reading is not None else {}

    def _make_previews(self, index: int) -> list[Preview]:
        every = self._task.preview_every
        if every < 1 or (index + 1) % every:
            return []
        latents = self._view.denoised()
        shape = (self._task.width, self._task.height)
        return [
            Preview(index=self._finished + i, jpeg=jpeg) for i, jpeg in enumerate(self._previews.jpegs(latents, shape))
        ]


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
