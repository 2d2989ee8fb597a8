"""Several tasks in one denoising loop: each picture is the one it would be alone, and each task has its own end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from engines.diffusers_image import DiffusersImage, load
from engines.image_passes import Passes
from engines.protocol import Batch, BatchDone, Cancelled, Done, Failed, Progress, TextToImage
from engines.schedulers import SCHEDULERS, choices_for
from PIL import Image

OPTIONS = {"threads": 1, "device": "cpu"}
PROMPTS = [("a blue dragon", "spots", [7]), ("a red fox with very long ears", "", [8, 9]), ("", "", [1234])]
ONE_OF_EACH = {SCHEDULERS[key].cls: key for key in reversed(list(choices_for("noise")))}.values()
"""A sampler carries state from step to step; which noise levels it is given changes nothing in that."""


class Watcher:
    """A run that keeps what it is told; `leaves` names a task that is cancelled at the first step."""

    cancelled = False

    def __init__(self, leaves: str = "") -> None:
        self.seen: list[Progress] = []
        self._leaves = leaves

    def left_out(self, task_id: str) -> bool:
        return bool(self.seen) and task_id == self._leaves

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)


def task(folder: Path, name: str, **changes: object) -> TextToImage:
    output = folder / name
    output.mkdir(parents=True, exist_ok=True)
    settings = {"prompt": "a dragon", "negative_prompt": "", "seeds": [7], "steps": 3, "guidance_scale": 3.0}
    size = {"width": 64, "height": 64, "preview_every": 0}
    return TextToImage(**{"task_id": name, "output_dir": str(output), **settings, **size, **changes})


def tasks_of(folder: Path, **changes: object) -> list[TextToImage]:
    return [
        task(folder, f"t{number}", prompt=prompt, negative_prompt=negative, seeds=seeds, **changes)
        for number, (prompt, negative, seeds) in enumerate(PROMPTS)
    ]


def together(
    engine: DiffusersImage, tasks: list[TextToImage], run: Watcher | None = None, at_once: int = 8
) -> BatchDone:
    done = engine.run(Batch(task_id="b", tasks=tasks, at_once=at_once), run or Watcher())
    assert isinstance(done, BatchDone)
    return done


def pixels(folder: str, file: object) -> np.ndarray:
    return np.asarray(Image.open(Path(folder) / file.path).convert("RGB"), dtype=int)  # type: ignore[attr-defined]


def furthest(engine: DiffusersImage, folder: Path, **changes: object) -> int:
    """The most that a pixel of a batch differs from the same picture made alone; its seeds and sizes are equal."""
    tasks = tasks_of(folder / "together", **changes)
    done = together(engine, tasks)
    worst = 0
    for one, alone in zip(tasks, tasks_of(folder / "alone", **changes), strict=True):
        end, lonely = done.ends[one.task_id], engine.run(alone, Watcher())
        assert isinstance(end, Done) and isinstance(lonely, Done)
        assert [file.seed for file in end.files] == one.seeds
        for made, wanted in zip(end.files, lonely.files, strict=True):
            assert (made.recipe.pop("batch"), made.recipe) == (4, wanted.recipe)
            worst = max(worst, int(np.abs(pixels(one.output_dir, made) - pixels(alone.output_dir, wanted)).max()))
    return worst


@pytest.fixture(scope="module")
def sd(tiny_sd: Path) -> DiffusersImage:
    return load(tiny_sd, OPTIONS)


class TestSamePictures:
    @pytest.mark.parametrize("scheduler", [None, *ONE_OF_EACH])
    def test_with_every_sampler(self, sd, tmp_path: Path, scheduler: str | None) -> None:
        assert furthest(sd, tmp_path, scheduler=scheduler, steps=2) <= 1

    def test_without_guidance(self, sd, tmp_path: Path) -> None:
        assert furthest(sd, tmp_path, guidance_scale=0.0) <= 1

    def test_of_sdxl(self, tiny_sdxl: Path, tmp_path: Path) -> None:
        engine = load(tiny_sdxl, OPTIONS)
        assert furthest(engine, tmp_path) <= 1
        assert furthest(engine, tmp_path / "unguided", guidance_scale=1.0) <= 1

    def test_of_the_embedded_model(self, creatures: Path, tmp_path: Path) -> None:
        engine = load(creatures, OPTIONS)
        size = json.loads((creatures / "atelier.json").read_text())["defaults"]
        assert furthest(engine, tmp_path, steps=3, width=size["width"], height=size["height"]) <= 1

    def test_prompts_that_are_longer_or_change_on_the_way(self, sd, tmp_path: Path) -> None:
        """They go through apart where they must."""
        prompts = ["a fox", "a [red:blue:1] fox", "a dragon", "a cat", "an (old:1.3) fox BREAK at night"]

        def asked(folder: Path) -> list[TextToImage]:
            return [task(folder, f"p{n}", prompt=prompt, seeds=[n]) for n, prompt in enumerate(prompts)]

        tasks = asked(tmp_path / "together")
        done = together(sd, tasks)
        for one, alone in zip(tasks, asked(tmp_path / "alone"), strict=True):
            end, lonely = done.ends[one.task_id], sd.run(alone, Watcher())
            off = pixels(one.output_dir, end.files[0]) - pixels(alone.output_dir, lonely.files[0])  # type: ignore[union-attr]
            assert np.abs(off).max() <= 1

    def test_in_parts_smaller_than_the_batch(self, sd, tmp_path: Path) -> None:
        done = together(sd, tasks_of(tmp_path), at_once=3)
        batches = [file.recipe.get("batch", 1) for end in done.ends.values() for file in end.files]  # type: ignore[union-attr]
        assert batches == [3, 3, 3, 1] and done.at_once == 3


class TestOwnEnds:
    def test_progress_and_previews_count_through_the_batch(self, sd, tmp_path: Path) -> None:
        run = Watcher()
        together(sd, tasks_of(tmp_path, preview_every=1, steps=6, scheduler="euler"), run)
        assert run.seen[-1].total == 24 and run.seen[-1].step <= 24
        assert {preview.index for update in run.seen for preview in update.previews} == {0, 1, 2, 3}

    def test_one_that_is_cancelled_writes_nothing_and_hurts_nobody(self, sd, tmp_path: Path) -> None:
        tasks = tasks_of(tmp_path, steps=6)
        done = together(sd, tasks, Watcher(leaves="t1"))
        assert isinstance(done.ends["t1"], Cancelled) and not list(Path(tasks[1].output_dir).iterdir())
        assert all(isinstance(done.ends[name], Done) for name in ("t0", "t2"))

    def test_one_whose_folder_is_gone_fails_alone(self, sd, tmp_path: Path) -> None:
        tasks = tasks_of(tmp_path)

        class Remover(Watcher):
            def report(self, progress: Progress) -> None:
                if Path(tasks[0].output_dir).exists():
                    Path(tasks[0].output_dir).rmdir()

        done = together(sd, tasks, Remover())
        assert isinstance(done.ends["t0"], Failed) and isinstance(done.ends["t1"], Done)

    def test_one_that_cannot_be_done_fails_alone(self, sd, tmp_path: Path) -> None:
        tasks = [*tasks_of(tmp_path), task(tmp_path, "wrong", seeds=[-1])]
        done = together(sd, tasks)
        assert done.ends["wrong"].code == "invalid_seeds"  # type: ignore[union-attr]
        assert all(isinstance(done.ends[f"t{number}"], Done) for number in range(3))


class TestMemory:
    def test_what_does_not_fit_goes_through_in_halves(self, sd, tmp_path: Path, monkeypatch) -> None:
        sizes: list[int] = []
        make = Passes.make

        def full(passes: Passes, first: int, pictures: int) -> list[Image.Image]:
            sizes.append(pictures)
            if pictures > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return make(passes, first, pictures)

        monkeypatch.setattr(Passes, "make", full)
        run = Watcher()
        done = together(sd, tasks_of(tmp_path, scheduler="euler"), run)
        assert sizes == [4, 2, 1, 1, 1, 1] and done.at_once == 1
        assert all(isinstance(end, Done) for end in done.ends.values())
        assert run.seen[-1].step == run.seen[-1].total == 12

    def test_one_alone_that_does_not_fit_ends_the_run(self, sd, tmp_path: Path, monkeypatch) -> None:
        def full(*_rest):
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(Passes, "make", full)
        with pytest.raises(Exception, match="do not fit into memory"):
            together(sd, tasks_of(tmp_path))


def test_a_worker_cancels_one_task_and_then_the_rest(fake_worker, tmp_path: Path) -> None:
    worker = fake_worker(step_seconds=0.2)
    tasks = [task(tmp_path, name, steps=50) for name in ("a", "b")]
    with worker.running(Batch(task_id="both", tasks=tasks, at_once=2)) as updates:
        next(updates)
        assert worker.cancel("a") is True and worker.cancel("nobody") is False
        assert worker.cancel("b") is True, "with the last the whole run ends"
        assert isinstance(list(updates)[-1], Cancelled)
