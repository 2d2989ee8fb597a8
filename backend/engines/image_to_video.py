"""Short videos from a picture, with diffusers' Stable Video Diffusion. Loaded by `engines.diffusers_image` for models
of that class; load options as there.

A video depends on its recipe alone: its noise comes from a generator of its own on the CPU, and videos of one request
are made one after another. Frames are decoded a few at a time, which is where the memory of such a model peaks.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from engines.engine import Options, Run, RunCancelled, RunFailed
from engines.failpoints import failpoint
from engines.image_checks import check_files, check_sampling, check_size
from engines.image_families import family_of, weights_bytes
from engines.image_inputs import fitted, opened
from engines.image_memory import brought_back, is_out_of_memory, measured_run, no_room_to_wake, peak_bytes, put_aside
from engines.image_options import Source
from engines.image_previews import Previews, small_jpeg
from engines.image_recipe import model_hash, named, versions
from engines.image_sampling import Sampling, choose_sampling
from engines.image_speed import attention, left_out
from engines.image_steps import Schedule, Steps
from engines.protocol import Done, File, ImageToVideo, Parked, Preview, TextToImage
from engines.video_files import VIDEO_FORMATS, write_video

DECODED_AT_ONCE = 2
"""What the server reckons with, too (`models.estimate`)."""
MAX_FRAMES = 256
MAX_FPS = 120
FINAL_PREVIEW_SIDE = 256


class DiffusersVideo:
    """One loaded video pipeline. `run` is called on one thread."""

    def __init__(self, pipe: Any, source: Source, options: Options) -> None:
        pipe.set_progress_bar_config(disable=True)
        self.device = source.device.partition(":")[0]
        self._source, self._pipe, self._own_scheduler = source, pipe, pipe.scheduler
        self._multiple = _size_multiple(pipe)
        self._previews = Previews(pipe, family_of(pipe))
        self.weights_bytes = weights_bytes(pipe)
        self.load_peak_bytes = peak_bytes(self.device)
        self.left_out, self.attention = left_out(), attention()
        reader = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._model_hash = reader.submit(model_hash, source.folder, str(options.get("model_hash", "")))

    def run(self, task: ImageToVideo | TextToImage, run: Run) -> Done:
        """Make the task's videos. Raises RunFailed naming the field, RunCancelled at the next step after a cancel."""
        if isinstance(task, TextToImage):
            raise RunFailed(
                "unfit_task", "this model makes videos from pictures", "Take an image model.", sentence="only_videos"
            )
        self._check(task)
        sampling = choose_sampling(task.scheduler, self._own_scheduler)
        failpoint("engine.before_run")
        schedule = Schedule(task.steps, task.steps)
        total = schedule.denoisings(sampling.scheduler(self._own_scheduler)) * len(task.seeds)
        start = fitted(opened(task.image, "RGB"), task.width, task.height, "crop")
        files = []
        with measured_run(self.device):
            steps = Steps(task, run, self._previews, total)
            for index in range(len(task.seeds)):
                frames = self._frames(task, index, start, sampling, steps, run)
                if task.preview_every:
                    jpeg = small_jpeg(Image.fromarray(frames[0]), FINAL_PREVIEW_SIDE)
                    steps.show_finished(Preview(index=index, jpeg=jpeg, final=True))
                files.append(self._write(task, index, frames, sampling))
        failpoint("engine.before_done")
        return Done(files=files, peak_bytes=peak_bytes(self.device))

    @torch.no_grad()
    def _frames(
        self, task: ImageToVideo, index: int, start: Image.Image, sampling: Sampling, steps: Steps, run: Run
    ) -> np.ndarray:
        """One video: uint8 [frames, height, width, 3]."""
        pipe = self._pipe
        pipe.scheduler = sampling.scheduler(self._own_scheduler)
        steps.start_pass(index, 1, pipe.scheduler, (task.width, task.height))
        latents = pipe(
            start,
            width=task.width,
            height=task.height,
            num_frames=task.frames,
            num_inference_steps=task.steps,
            max_guidance_scale=max(1.0, task.guidance_scale),
            fps=task.fps,
            motion_bucket_id=task.motion,
            noise_aug_strength=task.noise,
            generator=torch.Generator("cpu").manual_seed(task.seeds[index]),
            output_type="latent",
            callback_on_step_end=steps,
        ).frames
        decoded = []
        for first in range(0, task.frames, DECODED_AT_ONCE):
            if run.cancelled:
                raise RunCancelled
            part = latents[:, first : first + DECODED_AT_ONCE]
            pixels = pipe.decode_latents(part.to(pipe.vae.dtype), part.shape[1], part.shape[1])  # [1, 3, frames, …]
            levels = ((pixels[0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
            decoded.append(levels.permute(1, 2, 3, 0).cpu().numpy())
        return np.concatenate(decoded)

    def _write(self, task: ImageToVideo, index: int, frames: np.ndarray, sampling: Sampling) -> File:
        recipe = {
            "task": "image_to_video",
            "start": named(task.image),
            "seed": task.seeds[index],
            "steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "width": task.width,
            "height": task.height,
            "frames": task.frames,
            "fps": task.fps,
            "motion": task.motion,
            "noise": task.noise,
            "scheduler": sampling.key,
            "sampler": sampling.sampler,
            "schedule_type": sampling.schedule_type,
            "model": task.model_key or self._source.folder.name,
            "model_hash": self._model_hash.result(),
            "device": self.device,
            "dtype": str(self._pipe.dtype).removeprefix("torch."),
            "engine": "diffusers_image",
            "versions": versions(),
        }
        file = write_video(frames, Path(task.output_dir), index, task.format, task.fps, recipe)
        failpoint("engine.after_encode")
        return file

    def _check(self, task: ImageToVideo) -> None:
        check_sampling(task.seeds, task.steps, task.guidance_scale)
        check_size(task.width, task.height, self._multiple)
        if not 2 <= task.frames <= MAX_FRAMES:
            raise RunFailed("invalid_frames", f"frames must be 2 to {MAX_FRAMES}", max=MAX_FRAMES)
        if not 1 <= task.fps <= MAX_FPS:
            raise RunFailed("invalid_fps", f"fps must be 1 to {MAX_FPS}", max=MAX_FPS)
        if not 1 <= task.motion <= 255:
            raise RunFailed("invalid_motion", "motion must be 1 to 255")
        if not 0 <= task.noise <= 1:
            raise RunFailed("invalid_noise", "noise must be 0 to 1")
        check_files(task.format, VIDEO_FORMATS, task.output_dir)

    # parking

    def park(self) -> Parked:
        """Free the device; the process keeps the libraries, the image processor and the scheduler."""
        if self.device != "cuda":
            self._previews.watch(None)
        return put_aside(self._pipe, self.device, self.weights_bytes)

    def wake(self) -> None:
        """Undo `park`. Raises RunFailed when the device is full; the weights are then where they were."""
        try:
            self._pipe = brought_back(self._pipe, self.device, self._source, self._own_scheduler)
            self._previews.watch(self._pipe)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.park()
            raise no_room_to_wake() from error


def _size_multiple(pipe: Any) -> int:
    """The UNet halves the latents at every stage but the last, and doubles them again: nothing may be left over."""
    return max(8, pipe.vae_scale_factor * 2 ** (len(pipe.unet.config.block_out_channels) - 1))
