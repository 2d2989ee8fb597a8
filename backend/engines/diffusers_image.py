"""Pictures from text, with diffusers: any text-to-image folder that has a `model_index.json`.

    python -m engines.host diffusers_image --model-path MODEL --socket /tmp/w.sock          a worker
    python -m engines.diffusers_image MODEL "a blue creature" --seed 7 --output /tmp        one picture, from the shell

The stock pipeline runs as diffusers wrote it; this file picks precision and scheduler, seeds, watches steps and hands
finished tensors to encoder threads. Order of the file: load, run, prompts, previews, shell.

Load options: `device` ("cuda" when there is one, else "cpu"), `dtype` ("float32" on the CPU, "bfloat16" or "float16" on
CUDA), `threads` (CPU threads of torch; half the usable cores), `batch` (most pictures of one request at once; 1),
`model_hash` (SHA-256 of the denoiser's weights, hex; computed when not given).

A picture depends on its recipe alone: each has a generator of its own on the CPU, whatever the device, so that noise
is the same everywhere, and its request's other pictures do not touch it. That is why `batch` is 1 unless someone
asks: pictures made together differ from the same made alone by at most 1 of 255 in some pixels (float32, CPU; larger
matrices add up in another order), for 1.2 to 1.6 times the speed on a tiny model. One by one, the same recipe gives
the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import inspect
import io
import math
import os
import sys
import time
from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
import transformers
from diffusers.schedulers import KarrasDiffusionSchedulers
from PIL import Image
from transformers import conversion_mapping

from engines.engine import LoadFailed, Options, Run, RunCancelled, RunFailed
from engines.failpoints import failpoint
from engines.lifeline import memory_bytes
from engines.measured import give_back
from engines.model_folder import check_model_folder, weight_files
from engines.picture_files import FORMATS, write_picture
from engines.protocol import Done, File, Parked, Preview, Progress, TextToImage
from engines.schedulers import SCHEDULERS, choices_for, key_of_class

TASKS = (TextToImage,)

PROMPTS_KEPT = 64
PREVIEW_SECONDS = 0.25
PREVIEW_SIDE = 128
FINAL_PREVIEW_SIDE = 256
PROGRESS_SECONDS = 0.03
MAX_SEED = 2**32 - 1
MAX_STEPS = 1000
CUDA_CONTEXT_BYTES = 512 * 1024**2
"""What the driver and the libraries take of a GPU beside PyTorch's allocator: 0.4 to 0.6 GB on recent cards."""

DENOISERS = ("unet", "transformer")
"""What pipelines call their denoiser."""


# ── load ──────────────────────────────────────────────────────────────────────


def preload() -> None:
    """Import what a worker would import later: diffusers and transformers load their modules on first touch."""
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    for choice in SCHEDULERS.values():
        getattr(diffusers, choice.cls)
    for scheduler in KarrasDiffusionSchedulers:
        getattr(diffusers, scheduler.name)
    for name in (
        "BaseGuidance",
        "AutoencoderKL",
        "UNet2DConditionModel",
        "DiffusionPipeline",
        "StableDiffusionPipeline",
        "StableDiffusionXLPipeline",
    ):
        getattr(diffusers, name)
    for name in (
        "CLIPTextModel",
        "CLIPTextModelWithProjection",
        "CLIPTokenizer",
        "CLIPImageProcessor",
        "AutoTokenizer",
    ):
        getattr(transformers, name)
    # transformers compiles some 900 patterns for the names in old checkpoints at its first load: 0.4 s.
    conversion_mapping.get_checkpoint_conversion_mapping("clip_text_model")
    Image.init()


def load(model_path: Path, options: Options) -> DiffusersImage:
    """Check the folder, then load its weights onto the device. Raises LoadFailed."""
    index = check_model_folder(model_path)
    preload()
    cls = getattr(diffusers, index["_class_name"], None)
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.DiffusionPipeline)):
        raise LoadFailed(
            "unknown_pipeline",
            f"diffusers {diffusers.__version__} has no pipeline {index['_class_name']!r}",
            version=diffusers.__version__,
            pipeline=index["_class_name"],
        )
    device = str(options.get("device") or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_num_threads(int(options.get("threads") or max(1, len(os.sched_getaffinity(0)) // 2)))
    source = Source(model_path, device, _dtype(device, str(options.get("dtype", ""))))
    try:
        return DiffusersImage(source.pipeline(), source, options)
    except torch.OutOfMemoryError as error:
        raise LoadFailed(
            "out_of_memory",
            "the model does not fit into the GPU's memory",
            "Stop another worker or take a smaller model.",
            sentence="model_too_large",
        ) from error


@dataclass(frozen=True)
class Source:
    """Where a pipeline comes from and where it goes to."""

    folder: Path
    device: str
    dtype: torch.dtype

    def pipeline(self, **there: Any) -> Any:
        """The pipeline with its weights on the device. Components that are `there` already are not read again."""
        return diffusers.DiffusionPipeline.from_pretrained(
            str(self.folder),
            dtype=self.dtype,
            use_safetensors=True,
            local_files_only=True,
            variant=_variant(self.folder),
            **there,
        ).to(self.device)


def _dtype(device: str, wanted: str) -> torch.dtype:
    if wanted:
        if wanted not in ("float32", "float16", "bfloat16"):
            raise LoadFailed(
                "invalid_option", f"dtype {wanted!r} is none of float32, float16, bfloat16", value=str(wanted)
            )
        return getattr(torch, wanted)
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _variant(folder: Path) -> str | None:
    """ "fp16" for a folder that holds nothing else; diffusers looks for plain names unless told."""
    files = list(folder.glob("*/*.safetensors"))
    return "fp16" if files and all(".fp16." in file.name for file in files) else None


# ── run ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sampling:
    """The scheduler of one run: key (None for the model's own, with settings that no key stands for) and A1111's words
    for the recipe, class and differing settings for diffusers."""

    key: str | None
    sampler: str
    schedule_type: str
    cls: type
    kwargs: dict[str, str | int | float | bool]


class DiffusersImage:
    """One loaded pipeline. `run` is called on one thread; encoders write files on others."""

    def __init__(self, pipe: Any, source: Source, options: Options) -> None:
        pipe.set_progress_bar_config(disable=True)
        self.device = source.device.partition(":")[0]
        self._source = source
        self._pipe = pipe
        self._batch = max(1, int(options.get("batch", 1)))
        self._model_name = source.folder.name
        self._multiple = _size_multiple(pipe)
        self._own_scheduler = pipe.scheduler
        self._kind: Literal["noise", "flow"] = "flow" if _is_flow(pipe.scheduler) else "noise"
        self._accepts = frozenset(inspect.signature(pipe.__call__).parameters)
        self._prompts: OrderedDict[tuple, dict[str, torch.Tensor]] = OrderedDict()
        self._previews = Previews(pipe)
        self.weights_bytes = _weights_bytes(pipe)
        self.load_peak_bytes = self._peak_bytes()
        self._encoders = ThreadPoolExecutor(2, thread_name_prefix="encode")
        self._model_hash = self._encoders.submit(_model_hash, source.folder, str(options.get("model_hash", "")))

    def run(self, task: TextToImage, run: Run) -> Done:
        """Make the task's pictures. Raises RunFailed naming the field, RunCancelled at the next step after a cancel."""
        self._check(task)
        failpoint("engine.before_run")
        sampling = self._choose_sampling(task.scheduler)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        written: list[Future[File]] = []
        try:
            steps = Steps(task, run, self._previews)
            for start in range(0, len(task.seeds), self._batch):
                seeds = task.seeds[start : start + self._batch]
                images = self._generate(task, seeds, sampling, steps)
                for offset, pixels in enumerate(images):
                    index = start + offset
                    recipe = self._recipe(task, task.seeds[index], sampling)
                    written.append(self._encoders.submit(self._finish, pixels, task, index, recipe, steps))
            files = [future.result() for future in written]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise RunFailed(
                "out_of_memory", "the pictures do not fit into memory", "Ask for a smaller size or fewer at once."
            ) from error
        finally:
            for future in written:  # a cancelled run leaves no encoder writing behind its back
                future.cancel() or future.exception()
            if self.device == "cuda" and sys.exception() is not None:
                torch.cuda.empty_cache()
        failpoint("engine.before_done")
        return Done(files=files, peak_bytes=self._peak_bytes())

    def _generate(self, task: TextToImage, seeds: list[int], sampling: Sampling, steps: Steps) -> torch.Tensor:
        """Pixels of one batch: uint8 [pictures, height, width, 3] on the CPU."""
        pipe = self._pipe
        pipe.scheduler = sampling.cls.from_config(self._own_scheduler.config, **sampling.kwargs)
        steps.start_batch(pipe.scheduler, len(seeds))
        arguments = {
            **self._prompt_arguments(task),
            "width": task.width,
            "height": task.height,
            "num_inference_steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "num_images_per_prompt": len(seeds),
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "output_type": "pt",
            "callback_on_step_end": steps,
        }
        images = pipe(**{name: value for name, value in arguments.items() if name in self._accepts}).images
        return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()

    def _finish(self, pixels: torch.Tensor, task: TextToImage, index: int, recipe: dict, steps: Steps) -> File:
        """On an encoder thread."""
        recipe["model_hash"] = self._model_hash.result()
        image = Image.fromarray(pixels.numpy())
        if task.preview_every:
            steps.show_finished(Preview(index=index, jpeg=small_jpeg(image, FINAL_PREVIEW_SIDE), final=True))
        file = write_picture(image, Path(task.output_dir), index, task.format, recipe)
        failpoint("engine.after_encode")
        return file

    def _recipe(self, task: TextToImage, seed: int, sampling: Sampling) -> dict:
        return {
            "prompt": task.prompt,
            "negative_prompt": task.negative_prompt,
            "seed": seed,
            "steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "width": task.width,
            "height": task.height,
            "scheduler": sampling.key,
            "sampler": sampling.sampler,
            "schedule_type": sampling.schedule_type,
            "model": task.model_key or self._model_name,
            "engine": "diffusers_image",
            "device": self.device,
            "dtype": str(self._pipe.dtype).removeprefix("torch."),
            "versions": {
                "torch": torch.__version__.partition("+")[0],
                "diffusers": diffusers.__version__,
                "transformers": transformers.__version__,
            },
        }

    def _check(self, task: TextToImage) -> None:
        """Refuse what no model could do, before any work. The server has its own limits; these keep the worker sane."""
        if not task.seeds or not all(0 <= seed <= MAX_SEED for seed in task.seeds):
            raise RunFailed("invalid_seeds", f"seeds must be one or more numbers from 0 to {MAX_SEED}", max=MAX_SEED)
        if not 1 <= task.steps <= MAX_STEPS:
            raise RunFailed("invalid_steps", f"steps must be 1 to {MAX_STEPS}", max=MAX_STEPS)
        if not (math.isfinite(task.guidance_scale) and task.guidance_scale >= 0):
            raise RunFailed("invalid_guidance_scale", "guidance_scale must be 0 or more")
        for field, value in (("width", task.width), ("height", task.height)):
            if value < self._multiple or value % self._multiple:
                nearest = max(self._multiple, round(value / self._multiple) * self._multiple)
                raise RunFailed(
                    f"invalid_{field}",
                    f"{field} must be a multiple of {self._multiple} for this model",
                    f"{nearest} would do.",
                    sentence="invalid_side",
                    side=field,
                    multiple=self._multiple,
                    nearest=nearest,
                )
        if task.format not in FORMATS:
            known = ", ".join(FORMATS)
            raise RunFailed("invalid_format", f"format must be one of {known}", known=known)
        if not Path(task.output_dir).is_dir():
            raise RunFailed("invalid_output_dir", "the folder for the pictures does not exist")

    def _choose_sampling(self, key: str | None) -> Sampling:
        """The table's entry; without a key the model's own scheduler as it was published."""
        if key is None:
            cls = type(self._own_scheduler)
            own = key_of_class(cls.__name__)
            return Sampling(None, SCHEDULERS[own].sampler if own else cls.__name__, "Automatic", cls, {})
        choice = SCHEDULERS.get(key)
        if choice is None:
            known = ", ".join(SCHEDULERS)
            raise RunFailed(
                "invalid_scheduler", f"there is no scheduler {key!r}", f"Known: {known}.", scheduler=key, known=known
            )
        if choice.kind != self._kind:
            fitting = ", ".join(choices_for(self._kind))
            what = "a flow-matching model" if self._kind == "flow" else "no flow-matching model"
            raise RunFailed(
                "invalid_scheduler",
                f"{key} does not fit, since this is {what}",
                f"Take one of {fitting}.",
                sentence="unfit_scheduler",
                scheduler=choice.name,
                known=fitting,
            )
        return Sampling(key, choice.sampler, choice.schedule_type, getattr(diffusers, choice.cls), choice.kwargs)

    def _peak_bytes(self) -> int:
        """Of the GPU's memory; 0 on the CPU, where the host looks itself. What the allocator keeps beyond what it gave
        out is not counted: it is left from earlier runs, and taken back when memory is short."""
        return CUDA_CONTEXT_BYTES + torch.cuda.max_memory_allocated() if self.device == "cuda" else 0

    # parking

    def park(self) -> Parked:
        """Free the device; the process keeps the libraries, the tokenizers, the schedulers and the prompts it read.

        On CUDA the weights move to the host's memory and come back over the bus. On the CPU the device *is* the host's
        memory, so the weights are let go, and read again from their files, which the kernel's page cache holds as long
        as nobody needs that memory more.
        """
        self._prompts.clear()
        if self.device == "cuda":
            self._pipe.to("cpu")
            give_back()
            torch.cuda.empty_cache()
            return Parked(rest_bytes=CUDA_CONTEXT_BYTES + torch.cuda.memory_reserved(), host_bytes=self.weights_bytes)
        self._previews.watch(None)
        for name in _weighty(self._pipe):
            setattr(self._pipe, name, None)
        give_back()
        return Parked(rest_bytes=memory_bytes()[1], host_bytes=0)

    def wake(self) -> None:
        """Undo `park`. Raises RunFailed when the device is full; the weights are then where they were."""
        try:
            if self.device == "cuda":
                self._pipe.to(self._source.device)
            else:
                self._pipe = self._source.pipeline(**_kept(self._pipe), scheduler=self._own_scheduler)
                self._pipe.set_progress_bar_config(disable=True)
            self._previews.watch(self._pipe)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            self.park()
            raise RunFailed(
                "out_of_memory", "the weights do not fit back into the device's memory", "Stop another worker."
            ) from error

    # prompts

    def _prompt_arguments(self, task: TextToImage) -> dict[str, Any]:
        """The pipeline's prompt arguments: embeddings, kept for the latest prompts, where we know how to ask."""
        guided = task.guidance_scale > 1
        if isinstance(self._pipe, diffusers.StableDiffusionXLPipeline):
            names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        elif isinstance(self._pipe, diffusers.StableDiffusionPipeline):
            names = ("prompt_embeds", "negative_prompt_embeds")
        else:
            return {"prompt": task.prompt, "negative_prompt": task.negative_prompt or None}
        key = (task.prompt, task.negative_prompt, guided)
        if key not in self._prompts:
            with torch.no_grad():
                encoded = self._pipe.encode_prompt(
                    prompt=task.prompt,
                    negative_prompt=task.negative_prompt or None,
                    device=self._pipe.device,
                    num_images_per_prompt=1,
                    do_classifier_free_guidance=guided,
                )
            self._prompts[key] = {
                name: tensor for name, tensor in zip(names, encoded, strict=True) if tensor is not None
            }
            if len(self._prompts) > PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]


def _weighty(pipe: Any) -> list[str]:
    """The names of the components that hold weights."""
    return [name for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)]


def _kept(pipe: Any) -> dict[str, Any]:
    """The components that parking leaves, as arguments for a new pipeline."""
    return {name: part for name, part in pipe.components.items() if part is not None and name != "scheduler"}


def _size_multiple(pipe: Any) -> int:
    """Width and height must be multiples of this: the autoencoder's factor times a transformer's patch."""
    transformer = getattr(pipe, "transformer", None)
    patch = getattr(transformer.config, "patch_size", 1) if transformer is not None else 1
    return int(getattr(pipe, "vae_scale_factor", 8)) * (patch if isinstance(patch, int) else 1)


def _is_flow(scheduler: Any) -> bool:
    config = scheduler.config
    by_config = config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
    return type(scheduler).__name__.startswith("FlowMatch") or bool(by_config)


def _weights_bytes(pipe: Any) -> int:
    modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    return sum(tensor.nbytes for module in modules for tensor in (*module.parameters(), *module.buffers()))


def _model_hash(folder: Path, known: str) -> str:
    """SHA-256 over the denoiser's weight files in order of name; infotext shows the first ten digits."""
    if known:
        return known
    digest = hashlib.sha256()
    for path in next(filter(None, (weight_files(folder, name) for name in DENOISERS)), []):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


# ── steps and previews ────────────────────────────────────────────────────────


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

    def show_finished(self, preview: Preview) -> None:
        """Send a finished picture along with the next step. From any thread."""
        self._shown.append(preview)

    def start_batch(self, scheduler: Any, size: int) -> None:
        self._finished += self._batch
        self._batch = size
        self._view = watch(scheduler)

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
        return {}

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


def small_jpeg(image: Image.Image, side: int, shape: tuple[int, int] | None = None) -> str:
    """A base64 JPEG of `shape` (the image's own size by default), scaled down so that no side is above `side`."""
    width, height = shape or image.size
    scale = min(1.0, side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
    return base64.b64encode(buffer.getvalue()).decode()


class Previews:
    """Small JPEGs from latents by a linear map to RGB, fitted once to this model's own decoder."""

    def __init__(self, pipe: Any) -> None:
        self.watch(pipe)
        self._fit: torch.Tensor | None = None

    def watch(self, pipe: Any) -> None:
        """Another pipeline with the same weights; None while there is none."""
        self._vae = getattr(pipe, "vae", None)

    def jpegs(self, latents: torch.Tensor | None, shape: tuple[int, int]) -> list[str]:
        """One base64 JPEG per picture, no side above `PREVIEW_SIDE`; none for latents of another shape."""
        channels = getattr(getattr(self._vae, "config", None), "latent_channels", None)
        if latents is None or latents.ndim != 4 or latents.shape[1] != channels:
            return []
        if self._fit is None:
            self._fit = self._fitted(channels)
        features = torch.cat([latents.float(), torch.ones_like(latents[:, :1], dtype=torch.float32)], dim=1)
        rgb = torch.einsum("bchw,cr->bhwr", features, self._fit)
        pixels = ((rgb / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return [small_jpeg(Image.fromarray(picture), PREVIEW_SIDE, shape) for picture in pixels]

    @torch.no_grad()
    def _fitted(self, channels: int) -> torch.Tensor:
        """Least squares from latents to the mean colour of the patch that each becomes: [channels + 1, 3].

        Fitted on a handful of smooth random latents, since a decoder answers to smooth ones as it does to pictures.
        """
        vae, generator = self._vae, torch.Generator("cpu").manual_seed(0)
        coarse = torch.randn(8, channels, 3, 3, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=(12, 12), mode="bicubic")
        latents = (smooth + 0.3 * torch.randn(smooth.shape, generator=generator)).to(vae.device)
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        decoded = vae.decode((latents / vae.config.scaling_factor + shift).to(vae.dtype)).sample.float()
        colours = torch.nn.functional.adaptive_avg_pool2d(decoded, (12, 12)).clamp(-1, 1)
        inputs = torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1).movedim(1, -1).reshape(-1, channels + 1)
        targets = colours.movedim(1, -1).reshape(-1, 3)
        return torch.linalg.lstsq(inputs.cpu(), targets.cpu()).solution.to(vae.device)


# ── shell ─────────────────────────────────────────────────────────────────────


class ShellRun:
    """A run whose progress goes to the terminal and which nobody cancels."""

    cancelled = False

    def left_out(self, task_id: str) -> bool:
        return False

    def report(self, progress: Progress) -> None:
        print(f"\r{progress.step}/{progress.total}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.diffusers_image", description="Make one picture.")
    parser.add_argument("model", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--negative", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--size", default="128x128", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--scheduler", choices=SCHEDULERS)
    parser.add_argument("--format", choices=FORMATS, default="png")
    parser.add_argument("--output", default=".", help="folder for the picture and its thumbnail")
    given = parser.parse_args()
    width, height = (int(side) for side in given.size.split("x"))
    task = TextToImage(
        task_id="shell",
        output_dir=given.output,
        prompt=given.prompt,
        negative_prompt=given.negative,
        seeds=[given.seed],
        steps=given.steps,
        guidance_scale=given.guidance,
        width=width,
        height=height,
        scheduler=given.scheduler,
        format=given.format,
        preview_every=0,
    )
    try:
        done = load(given.model, {}).run(task, ShellRun())
    except (LoadFailed, RunFailed) as error:
        sys.exit(str(error))
    print(f"\n{Path(given.output) / done.files[0].path}")


if __name__ == "__main__":
    main()
