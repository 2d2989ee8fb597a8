"""Pictures from text, with diffusers: any text-to-image folder that has a `model_index.json`.

    python -m engines.host diffusers_image --model-path MODEL --socket /tmp/w.sock          a worker
    python -m engines.diffusers_image MODEL "a blue creature" --seed 7 --output /tmp        one picture, from the shell

The stock pipeline runs as diffusers wrote it; this file picks precision and scheduler, seeds, watches steps and hands
finished tensors to encoder threads. Order of the file: load, run, parking, shell. Beside it:
`image_families` (which pipeline for what), `image_options` (how it is loaded), `image_prompts`, `image_sampling`,
`image_steps` (between two steps) and `image_previews`.

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
import hashlib
import inspect
import math
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.schedulers import KarrasDiffusionSchedulers
from PIL import Image
from transformers import conversion_mapping

from engines.engine import LoadFailed, Options, Run, RunFailed
from engines.failpoints import failpoint
from engines.image_batch import Arguments, Rows
from engines.image_embeddings import Embeddings
from engines.image_families import family_of, size_multiple, weights_bytes, weighty
from engines.image_loras import Loras
from engines.image_options import Source, chosen_dtype
from engines.image_previews import Previews, small_jpeg
from engines.image_prompts import Prompts
from engines.image_sampling import Sampling, choose_sampling
from engines.image_steps import Steps
from engines.lifeline import memory_bytes
from engines.measured import give_back
from engines.model_folder import check_model_folder, weight_files
from engines.picture_files import FORMATS, write_picture
from engines.protocol import Batch, BatchDone, Cancelled, Done, Failed, File, Parked, Preview, Progress, TextToImage
from engines.schedulers import SCHEDULERS

TASKS = (TextToImage, Batch)

FINAL_PREVIEW_SIDE = 256
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
    source = Source(model_path, device, chosen_dtype(device, str(options.get("dtype", ""))))
    try:
        return DiffusersImage(source.pipeline(), source, options)
    except torch.OutOfMemoryError as error:
        raise LoadFailed(
            "out_of_memory",
            "the model does not fit into the GPU's memory",
            "Stop another worker or take a smaller model.",
            sentence="model_too_large",
        ) from error


# ── run ───────────────────────────────────────────────────────────────────────


class DiffusersImage:
    """One loaded pipeline. `run` is called on one thread; encoders write files on others."""

    def __init__(self, pipe: Any, source: Source, options: Options) -> None:
        pipe.set_progress_bar_config(disable=True)
        self.device = source.device.partition(":")[0]
        self._source = source
        self._pipe = pipe
        self._batch = max(1, int(options.get("batch", 1)))
        self._model_name = source.folder.name
        self._family = family_of(pipe)
        self._multiple = size_multiple(pipe)
        self._own_scheduler = pipe.scheduler
        self._accepts = frozenset(inspect.signature(pipe.__call__).parameters)
        self._loras, self._embeddings = Loras(), Embeddings()
        self._prompts = Prompts(self._family, self._embeddings)
        self._previews = Previews(pipe)
        self.weights_bytes = weights_bytes(pipe)
        self.load_peak_bytes = self._peak_bytes()
        self._encoders = ThreadPoolExecutor(2, thread_name_prefix="encode")
        self._model_hash = self._encoders.submit(_model_hash, source.folder, str(options.get("model_hash", "")))

    def run(self, task: TextToImage | Batch, run: Run) -> Done | BatchDone:
        """Make the task's pictures. Raises RunFailed naming the field, RunCancelled at the next step after a cancel."""
        if isinstance(task, Batch):
            return self._run_batch(task, run)
        self._check(task)
        failpoint("engine.before_run")
        sampling = choose_sampling(task.scheduler, self._own_scheduler)
        self._loras.use(self._pipe, task.loras)
        self._embeddings.use(self._pipe, task.embeddings)
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
                    recipe = self._recipe(task, task.seeds[index], sampling, len(images))
                    written.append(self._encoders.submit(self._finish, pixels, task, index, recipe, steps))
            files = [future.result() for future in written]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise _out_of_memory() from error
        finally:
            for future in written:  # a cancelled run leaves no encoder writing behind its back
                future.cancel() or future.exception()
            if self.device == "cuda" and sys.exception() is not None:
                torch.cuda.empty_cache()
        failpoint("engine.before_done")
        return Done(files=files, peak_bytes=self._peak_bytes())

    # several tasks in one loop

    def _run_batch(self, batch: Batch, run: Run) -> BatchDone:
        """Make the pictures of several tasks together. A task that cannot be done fails alone. Raises as `run`."""
        failpoint("engine.before_run")
        ends: dict[str, Done | Failed | Cancelled] = {}
        tasks: list[TextToImage] = []
        for task in batch.tasks:
            try:
                self._check(task)
                tasks.append(task)
            except RunFailed as error:
                ends[task.task_id] = error.as_update()
        if not tasks:
            return BatchDone(ends=ends, at_once=batch.at_once)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        written: list[tuple[TextToImage, Future[File]]] = []
        try:
            at_once = self._draw_rows(tasks, batch.at_once, run, written)
            for task in tasks:
                files = [future for whose, future in written if whose is task]
                ends[task.task_id] = Cancelled() if run.left_out(task.task_id) else _collected(files)
        finally:
            for _, future in written:
                future.cancel() or future.exception()
            if self.device == "cuda" and sys.exception() is not None:
                torch.cuda.empty_cache()
        failpoint("engine.before_done")
        return BatchDone(ends=ends, at_once=at_once, peak_bytes=self._peak_bytes())

    def _draw_rows(
        self, tasks: list[TextToImage], at_once: int, run: Run, written: list[tuple[TextToImage, Future[File]]]
    ) -> int:
        """Draw all pictures, so many at once as memory allows; that number. Files go to `written` as they are begun."""
        self._loras.use(self._pipe, tasks[0].loras)
        self._embeddings.use(self._pipe, tasks[0].embeddings)
        rows = Rows(tasks, [self._prompts.arguments(self._pipe, task) for task in tasks])
        sampling = choose_sampling(rows.merged.scheduler, self._own_scheduler)
        steps = Steps(rows.merged, run, self._previews)
        first = 0
        while first < len(rows):
            count = rows.part(first, at_once)
            seeds = rows.merged.seeds[first : first + count]
            prompts = None if rows.of_one(first, count) else rows.prompts(first, count)
            try:
                images = self._generate(rows.tasks[first], seeds, sampling, steps, prompts)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if count == 1:
                    raise _out_of_memory() from error
                images = None
            if images is None:  # beyond the handler, which keeps the failed call's tensors alive
                give_back()
                if self.device == "cuda":
                    torch.cuda.empty_cache()
                steps.repeat_batch()
                at_once = count // 2
                continue
            for row, pixels in enumerate(images, first):
                task, index = rows.tasks[row], rows.indices[row]
                if not run.left_out(task.task_id):
                    recipe = self._recipe(task, task.seeds[index], sampling, count)
                    file = self._encoders.submit(self._finish, pixels, task, index, recipe, steps, row)
                    written.append((task, file))
            first += count
        return at_once

    def _generate(
        self,
        task: TextToImage,
        seeds: list[int],
        sampling: Sampling,
        steps: Steps,
        prompts: Arguments | None = None,
    ) -> torch.Tensor:
        """Pixels of one batch: uint8 [pictures, height, width, 3] on the CPU. `prompts`: each picture's own."""
        pipe = self._pipe
        pipe.scheduler = sampling.scheduler(self._own_scheduler)
        steps.start_batch(pipe.scheduler, len(seeds))
        if self._family.embeddings and prompts is None:
            steps.follow(self._prompts.reading(pipe, task))
        arguments = {
            **(prompts or self._prompts.arguments(pipe, task)),
            "width": task.width,
            "height": task.height,
            "num_inference_steps": task.steps,
            "guidance_scale": task.guidance_scale,
            "num_images_per_prompt": 1 if prompts else len(seeds),
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "output_type": "pt",
            "callback_on_step_end": steps,
        }
        images = pipe(**{name: value for name, value in arguments.items() if name in self._accepts}).images
        return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()

    def _finish(
        self,
        pixels: torch.Tensor,
        task: TextToImage,
        index: int,
        recipe: dict,
        steps: Steps,
        row: int | None = None,
    ) -> File:
        """On an encoder thread. `row`: the picture's place in its batch."""
        recipe["model_hash"] = self._model_hash.result()
        image = Image.fromarray(pixels.numpy())
        if task.preview_every:
            steps.show_finished(
                Preview(index=index if row is None else row, jpeg=small_jpeg(image, FINAL_PREVIEW_SIDE), final=True)
            )
        file = write_picture(image, Path(task.output_dir), index, task.format, recipe)
        failpoint("engine.after_encode")
        return file

    def _recipe(self, task: TextToImage, seed: int, sampling: Sampling, together: int = 1) -> dict:
        """`batch` is said of pictures that were not made alone: another one may differ by a level of 255."""
        return {
            **({"batch": together} if together > 1 else {}),
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
        self._embeddings.use(self._pipe, [])
        if self.device == "cuda":
            self._pipe.to("cpu")
            give_back()
            torch.cuda.empty_cache()
            return Parked(rest_bytes=CUDA_CONTEXT_BYTES + torch.cuda.memory_reserved(), host_bytes=self.weights_bytes)
        self._previews.watch(None)
        self._loras.forget()
        for name in weighty(self._pipe):
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


def _kept(pipe: Any) -> dict[str, Any]:
    """The components that parking leaves, as arguments for a new pipeline."""
    return {name: part for name, part in pipe.components.items() if part is not None and name != "scheduler"}


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


def _collected(files: list[Future[File]]) -> Done | Failed:
    """What became of one task of a batch: that its files could not be written is its own affair."""
    try:
        return Done(files=[future.result() for future in files])
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror or error}"
        return Failed(
            code="internal_error",
            message=reason,
            hint="The worker's log has the details.",
            params={"reason": reason},
        )


def _out_of_memory() -> RunFailed:
    return RunFailed("out_of_memory", "the pictures do not fit into memory", "Ask for a smaller size or fewer at once.")


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


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
