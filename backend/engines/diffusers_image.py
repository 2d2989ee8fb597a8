"""Pictures from words and from pictures, with diffusers: any folder of such a model that has a `model_index.json`, and
checkpoints in one file (`single_file`).

    python -m engines.host diffusers_image --model-path MODEL --socket /tmp/w.sock          a worker
    python -m engines.diffusers_image MODEL "a blue creature" --seed 7 --output /tmp        one picture, from the shell

The stock pipeline runs as diffusers wrote it; this file picks precision and scheduler, seeds, watches steps and hands
finished tensors to encoder threads. Order of the file: load, run, parking, shell. Beside it:
`image_families` (which pipeline for what), `image_options` (how it is loaded), `image_prompts`, `image_sampling`,
`image_inputs` (pictures that come in), `image_passes` (which pipelines run, on what), `image_latents`, `image_noise`,
`image_steps` (between two steps), `image_previews` and `image_recipe`.

Load options: `device` ("cuda" when there is one, else "cpu"), `dtype` ("float32" on the CPU, "bfloat16" or "float16" on
CUDA), `threads` (CPU threads of torch; half the usable cores), `batch` (most pictures of one request at once; 1),
`model_hash` (SHA-256 of the denoiser's weights, hex; computed when not given), `parts_from` (folder or file of a model
of the same family, which lends what a checkpoint in one file lacks), and those of `image_speed`.

A picture depends on its recipe alone: each has a generator of its own on the CPU, whatever the device, so that noise
is the same everywhere, and its request's other pictures do not touch it. That is why `batch` is 1 unless someone
asks: pictures made together differ from the same made alone by at most 1 of 255 in some pixels (float32, CPU; larger
matrices add up in another order), for 1.2 to 1.6 times the speed on a tiny model. One by one, the same recipe gives
the same bytes.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch
import transformers
from diffusers.schedulers import KarrasDiffusionSchedulers
from PIL import Image
from transformers import conversion_mapping

from engines.engine import LoadFailed, Options, Run, RunFailed
from engines.failpoints import failpoint
from engines.image_batch import RowPrompts, Rows
from engines.image_checks import MAX_SEED, MAX_STEPS, check_files, check_sampling, check_size
from engines.image_embeddings import Embeddings
from engines.image_families import family_of, size_multiple, weights_bytes
from engines.image_loras import Loras
from engines.image_memory import brought_back, is_out_of_memory, measured_run, no_room_to_wake, peak_bytes, put_aside
from engines.image_options import Source, chosen_dtype
from engines.image_passes import Passes, Pipelines, begun_from, schedules
from engines.image_previews import Previews, small_jpeg
from engines.image_prompts import Prompts
from engines.image_recipe import model_hash, recipe
from engines.image_sampling import Sampling, samplings_of
from engines.image_speed import attention, chosen_speed, left_out
from engines.image_steps import Steps
from engines.image_upscalers import Upscalers
from engines.measured import give_back
from engines.model_folder import check_model_folder
from engines.picture_files import FORMATS, write_picture
from engines.protocol import (
    Batch,
    BatchDone,
    Cancelled,
    Done,
    Enlarge,
    Failed,
    File,
    ImageToVideo,
    Parked,
    Preview,
    Progress,
    TextToImage,
)
from engines.safetensors_file import read_header
from engines.schedulers import SCHEDULERS
from engines.single_file import check_checkpoint
from engines.upscaler_files import upscaler_architecture

if TYPE_CHECKING:
    from engines.image_to_video import DiffusersVideo
    from engines.upscaler import Upscaler

TASKS = (TextToImage, Batch, ImageToVideo, Enlarge)

FINAL_PREVIEW_SIDE = 256
VIDEO_PIPELINES = ("StableVideoDiffusionPipeline",)


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
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
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


def load(model_path: Path, options: Options) -> DiffusersImage | DiffusersVideo | Upscaler:
    """Check the folder or file, then load its weights onto the device. Raises LoadFailed."""
    device = str(options.get("device") or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_num_threads(int(options.get("threads") or max(1, len(os.sched_getaffinity(0)) // 2)))
    if _is_upscaler(model_path):
        from engines.upscaler import Upscaler

        return Upscaler(model_path, device)
    index = check_checkpoint(model_path) if model_path.is_file() else check_model_folder(model_path)
    preload()
    cls = getattr(diffusers, index["_class_name"], None)
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.DiffusionPipeline)):
        raise LoadFailed(
            "unknown_pipeline",
            f"diffusers {diffusers.__version__} has no pipeline {index['_class_name']!r}",
            version=diffusers.__version__,
            pipeline=index["_class_name"],
        )
    dtype = chosen_dtype(device, str(options.get("dtype", "")))
    lender = Path(str(options["parts_from"])) if options.get("parts_from") else None
    source = Source(model_path, device, dtype, chosen_speed(options), lender)
    try:
        if index["_class_name"] in VIDEO_PIPELINES:
            from engines.image_to_video import DiffusersVideo  # with PyAV, which picture models do without

            return DiffusersVideo(source.pipeline(), source, options)
        return DiffusersImage(source.pipeline(), source, options)
    except torch.OutOfMemoryError as error:
        raise LoadFailed(
            "out_of_memory",
            "the model does not fit into the GPU's memory",
            "Stop another worker or take a smaller model.",
            sentence="model_too_large",
        ) from error


def _is_upscaler(path: Path) -> bool:
    """A damaged file is not: whoever loads it as a checkpoint says what is wrong with it."""
    try:
        return path.suffix == ".safetensors" and upscaler_architecture(read_header(path)) is not None
    except (ValueError, OSError):
        return False


# ── run ───────────────────────────────────────────────────────────────────────


class DiffusersImage:
    """One loaded pipeline. `run` is called on one thread; encoders write files on others."""

    def __init__(self, pipe: Any, source: Source, options: Options) -> None:
        pipe.set_progress_bar_config(disable=True)
        self.device = source.device.partition(":")[0]
        self._source = source
        self._family = family_of(pipe)
        self._pipelines = Pipelines(pipe, self._family)
        self._batch = max(1, int(options.get("batch", 1)))
        self._model_name = source.folder.stem if source.folder.is_file() else source.folder.name
        self._multiple = size_multiple(pipe)
        self._upscalers = Upscalers(source.device)
        self._loras, self._embeddings = Loras(compiled=source.speed.compile), Embeddings()
        self._prompts = Prompts(self._family, self._embeddings, source.device)
        self._previews = Previews(pipe, self._family)
        self.weights_bytes = weights_bytes(pipe)
        self.load_peak_bytes = peak_bytes(self.device)
        self.left_out, self.attention = left_out(), attention()
        self._encoders = ThreadPoolExecutor(2, thread_name_prefix="encode")
        self._model_hash = self._encoders.submit(model_hash, source.folder, str(options.get("model_hash", "")))

    @property
    def _pipe(self) -> Any:
        return self._pipelines.loaded

    def run(self, task: TextToImage | Batch | ImageToVideo | Enlarge, run: Run) -> Done | BatchDone:
        """Make the task's pictures. Raises RunFailed naming the field, RunCancelled at the next step after a cancel."""
        if isinstance(task, Batch):
            return self._run_batch(task, run)
        if isinstance(task, ImageToVideo):
            raise RunFailed(
                "unfit_task", "this model makes pictures, no videos", "Take a video model.", sentence="no_videos"
            )
        if isinstance(task, Enlarge):
            raise RunFailed("unfit_task", "this model is no upscaler", "Take an upscaler.", sentence="no_upscaler")
        self._check(task)
        samplings, total = self._plan(task)
        failpoint("engine.before_run")
        self._loras.use(self._pipe, task.loras)
        self._embeddings.use(self._pipe, task.embeddings)
        written: list[Future[File]] = []
        try:
            with measured_run(self.device):
                steps = Steps(task, run, self._previews, total * len(task.seeds))
                begun = begun_from(task, self._upscalers, steps)
                passes = Passes(self._pipelines, self._prompts, task, samplings, steps, begun, self._upscalers)
                for first in range(0, len(task.seeds), self._batch):
                    made = passes.make(first, min(self._batch, len(task.seeds) - first))
                    for index, image in enumerate(made, first):
                        told = recipe(task, index, samplings, **self._about(task, len(made)))
                        written.append(self._encoders.submit(self._finish, image, task, index, told, steps))
                files = [future.result() for future in written]
        finally:
            for future in written:  # a cancelled run leaves no encoder writing behind its back
                future.cancel() or future.exception()
        failpoint("engine.before_done")
        return Done(files=files, peak_bytes=peak_bytes(self.device))

    def _plan(self, task: TextToImage) -> tuple[list[Sampling], int]:
        """How each pass is sampled, and how many steps they call back for together. Raises RunFailed."""
        own = self._pipelines.own_scheduler
        samplings = samplings_of(task, own, sigmas=self._family.packed)
        plan = zip(schedules(task, self._family), samplings, strict=True)
        return samplings, sum(one.denoisings(sampling.scheduler(own)) for one, sampling in plan)

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
        written: list[tuple[TextToImage, Future[File]]] = []
        try:
            with measured_run(self.device):
                at_once = self._draw_rows(tasks, batch.at_once, run, written)
                for task in tasks:
                    files = [future for whose, future in written if whose is task]
                    ends[task.task_id] = Cancelled() if run.left_out(task.task_id) else _collected(files)
        finally:
            for _, future in written:
                future.cancel() or future.exception()
        failpoint("engine.before_done")
        return BatchDone(ends=ends, at_once=at_once, peak_bytes=peak_bytes(self.device))

    def _draw_rows(
        self, tasks: list[TextToImage], at_once: int, run: Run, written: list[tuple[TextToImage, Future[File]]]
    ) -> int:
        """Draw all pictures, so many at once as memory allows; that number. Files go to `written` as they are begun."""
        self._loras.use(self._pipe, tasks[0].loras)
        self._embeddings.use(self._pipe, tasks[0].embeddings)
        rows = Rows(tasks, [self._prompts.arguments(self._pipe, task) for task in tasks])
        samplings, total = self._plan(rows.merged)
        steps = Steps(rows.merged, run, self._previews, total * len(rows))
        prompts = RowPrompts(self._prompts, rows)
        passes = Passes(self._pipelines, prompts, rows.merged, samplings, steps, None, self._upscalers)
        first = 0
        while first < len(rows):
            count = rows.part(first, at_once)
            prompts.take(first, count)
            made = self._attempted(passes, first, count)
            if made is None:
                steps.repeat_pass()
                at_once = count // 2
                continue
            for row, image in enumerate(made, first):
                task, index = rows.tasks[row], rows.indices[row]
                if not run.left_out(task.task_id):
                    told = recipe(task, index, samplings, **self._about(task, count))
                    file = self._encoders.submit(self._finish, image, task, index, told, steps, row)
                    written.append((task, file))
            first += count
        return at_once

    def _attempted(self, passes: Passes, first: int, count: int) -> list[Image.Image] | None:
        """These pictures; None when memory does not hold so many at once. Raises what torch raises for one alone."""
        try:
            return passes.make(first, count)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if count == 1 or not is_out_of_memory(error):
                raise
        give_back()  # beyond the handler, which keeps the failed call's tensors alive
        if self.device == "cuda":
            torch.cuda.empty_cache()
        return None

    def _finish(
        self, image: Image.Image, task: TextToImage, index: int, told: dict, steps: Steps, row: int | None = None
    ) -> File:
        """On an encoder thread. `row`: the picture's place in its batch."""
        told["model_hash"] = self._model_hash.result()
        if task.preview_every:
            place = index if row is None else row
            steps.show_finished(Preview(index=place, jpeg=small_jpeg(image, FINAL_PREVIEW_SIDE), final=True))
        file = write_picture(image, Path(task.output_dir), index, task.format, told, task.quality)
        failpoint("engine.after_encode")
        return file

    def _about(self, task: TextToImage, together: int = 1) -> dict[str, Any]:
        """Model and machine, for the recipe, and what of the prompt this model cannot read. `batch` is said of pictures
        that were not made alone: made alone, a pixel may differ by one level of 255."""
        dtype = str(self._pipe.dtype).removeprefix("torch.")
        about = {"model": task.model_key or self._model_name, "device": self.device, "dtype": dtype}
        notes = self._prompts.notes(self._pipe, task)
        return about | ({"notes": notes} if notes else {}) | ({"batch": together} if together > 1 else {})

    def _check(self, task: TextToImage) -> None:
        """Refuse what no model could do, before any work. The server has its own limits; these keep the worker sane."""
        check_sampling(task.seeds, task.steps, task.guidance_scale)
        if not all(0 <= seed <= MAX_SEED for seed in task.subseeds):
            raise RunFailed("invalid_seeds", f"seeds must be one or more numbers from 0 to {MAX_SEED}", max=MAX_SEED)
        if task.subseeds and len(task.subseeds) != len(task.seeds):
            raise RunFailed("invalid_subseeds", "there must be one subseed for each seed, or none")
        if task.hires is not None and not 1 <= task.hires.steps <= MAX_STEPS:
            raise RunFailed("invalid_steps", f"steps must be 1 to {MAX_STEPS}", max=MAX_STEPS)
        strengths = [one.strength for one in (task.start, task.hires) if one is not None]
        if not all(0 <= part <= 1 for part in [task.subseed_strength, *strengths]):
            raise RunFailed("invalid_strength", "strength must be 0 to 1")
        check_size(task.width, task.height, self._multiple)
        if task.hires is not None:
            check_size(task.hires.width, task.hires.height, self._multiple)
        if not 1 <= task.quality <= 100:
            raise RunFailed("invalid_quality", "quality must be 1 to 100")
        check_files(task.format, FORMATS, task.output_dir)

    # parking

    def park(self) -> Parked:
        """Free the device; the process keeps the libraries, the tokenizers, the schedulers and the prompts it read."""
        self._prompts.clear()
        self._pipelines.forget()
        self._upscalers.forget()
        self._embeddings.use(self._pipe, [])
        if self.device != "cuda":  # the weights go, and what was made of them
            self._previews.watch(None)
            self._loras.forget()
        return put_aside(self._pipe, self.device, self.weights_bytes)

    def wake(self) -> None:
        """Undo `park`. Raises RunFailed when the device is full; the weights are then where they were."""
        try:
            self._pipelines.loaded = brought_back(self._pipe, self.device, self._source, self._pipelines.own_scheduler)
            self._previews.watch(self._pipe)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.park()
            raise no_room_to_wake() from error


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
