"""Each family of models in each task it can do, with tiny random pipelines of the real classes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines.diffusers_image import DiffusersImage, load
from engines.engine import RunFailed
from engines.image_families import FAMILIES
from engines.image_latents import pack, unpack
from engines.protocol import Done, Hires, ImageStart, Inpaint, InputImage, Progress, TextToImage
from PIL import Image

OPTIONS = {"threads": 1, "device": "cpu"}
WIDTH, HEIGHT = 64, 48

# model -> the tasks that are tried: all it can do, but for models that differ from another in one thing only
ABLE = {
    "sd": ("text", "image", "inpaint", "hires"),
    "sd2": ("text", "inpaint"),
    "sd_inpaint": ("inpaint",),
    "lcm": ("text", "image"),
    "sdxl": ("text", "image", "inpaint", "hires"),
    "turbo": ("text", "image"),
    "refiner": ("image", "inpaint"),
    "sdxl_inpaint": ("inpaint",),
    "sd3": ("text", "image", "inpaint", "hires"),
    "flux_dev": ("text", "image", "inpaint", "hires"),
    "flux_schnell": ("text", "inpaint"),
    "kontext": ("text", "image", "inpaint", "hires"),
    "fill": ("inpaint",),
    "pixart": ("text",),
}


class Recorder:
    cancelled = False

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, InputImage]:
    folder = tmp_path_factory.mktemp("pictures")
    rough = np.random.default_rng(1).integers(0, 255, (6, 9, 3), np.uint8)
    Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / "start.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[12:40, 20:48] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return {name: InputImage(path=str(folder / f"{name}.png"), key=name) for name in ("start", "mask")}


@pytest.fixture(scope="module")
def engines(tiny_model: Callable[[str], Path]) -> Iterator[Callable[[str], DiffusersImage]]:
    made: dict[str, DiffusersImage] = {}

    def engine(name: str) -> DiffusersImage:
        if name not in made:
            made[name] = load(tiny_model(name), OPTIONS)
        return made[name]

    yield engine
    made.clear()


def task(output: Path, kind: str, pictures: dict[str, InputImage], **changes: object) -> TextToImage:
    output.mkdir(exist_ok=True)
    wanted: dict[str, Any] = {"prompt": "a blue dragon", "negative_prompt": "wings", "seeds": [7], "steps": 4}
    wanted |= {"guidance_scale": 3.0, "width": WIDTH, "height": HEIGHT}
    if kind in ("image", "inpaint"):
        wanted["start"] = ImageStart(image=pictures["start"], strength=0.75)
    if kind == "inpaint":
        wanted["inpaint"] = Inpaint(mask=pictures["mask"])
    if kind == "hires":
        wanted["hires"] = Hires(width=96, height=64, steps=2, strength=0.5, upscaler="latent")
    return TextToImage(**{"task_id": "t", "output_dir": str(output), **wanted, **changes})


def pixels(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "0.png")).astype(int)


@pytest.mark.parametrize(("model", "kind"), [(model, kind) for model, kinds in ABLE.items() for kind in kinds])
def test_each_makes_what_it_can(
    engines: Callable, pictures: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, kind: str
) -> None:
    monkeypatch.setattr("engines.image_steps.PREVIEW_SECONDS", 0.0)
    recorder = Recorder()
    done = engines(model).run(task(tmp_path, kind, pictures), recorder)
    assert isinstance(done, Done)
    made = pixels(tmp_path)
    assert made.shape == ((64, 96, 3) if kind == "hires" else (HEIGHT, WIDTH, 3)) and made.std() > 5
    last = recorder.seen[-1]
    assert last.step == last.total, "the steps that were promised are those that were made"
    assert [one.step for one in recorder.seen if one.previews] == list(range(1, last.total + 1))
    preview = Image.open(io.BytesIO(base64.b64decode(last.previews[0].jpeg)))
    assert preview.size == ((96, 64) if kind == "hires" else (WIDTH, HEIGHT))
    if kind == "inpaint":
        start, mask = (np.asarray(Image.open(pictures[name].path)).astype(int) for name in ("start", "mask"))
        assert (made[mask == 0] == start[mask == 0]).all(), "outside the mask nothing changes"
        assert abs(made[mask > 0] - start[mask > 0]).mean() > 10
    again = engines(model).run(task(tmp_path, kind, pictures, preview_every=0), Recorder())
    assert again.files[0].sha256 == done.files[0].sha256


@pytest.mark.parametrize(
    ("model", "kind", "sentence"),
    [
        ("sd_inpaint", "text", "no_text_to_image"),
        ("sd_inpaint", "image", "no_image_to_image"),
        ("refiner", "text", "no_text_to_image"),
        ("fill", "text", "no_text_to_image"),
        ("fill", "image", "no_image_to_image"),
    ],
)
def test_what_one_cannot_is_said(
    engines: Callable, pictures: dict, tmp_path: Path, model: str, kind: str, sentence: str
) -> None:
    with pytest.raises(RunFailed) as caught:
        engines(model).run(task(tmp_path, kind, pictures), Recorder())
    assert (caught.value.code, caught.value.sentence) == ("unfit_task", sentence) and caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_family_without_an_entry_is_given_words(engines: Callable, pictures: dict, tmp_path: Path) -> None:
    """None to avoid, some to avoid, and guidance: all three count."""
    given: list[dict[str, Any]] = [{"negative_prompt": ""}, {}, {"guidance_scale": 6.0}]
    made = [engines("pixart").run(task(tmp_path, "text", pictures, **one), Recorder()).files[0].sha256 for one in given]
    assert len(set(made)) == 3


class TestGuidance:
    def made(self, engine: DiffusersImage, folder: Path, **changes: object) -> np.ndarray:
        engine.run(task(folder, "text", {}, steps=2, **changes), Recorder())
        return pixels(folder)

    @pytest.mark.parametrize(
        ("model", "scale_matters", "negative_matters"),
        [("sdxl", True, True), ("sd3", True, True), ("flux_dev", True, False), ("flux_schnell", False, False),
         ("lcm", True, False)],
    )  # fmt: skip
    def test_is_what_the_family_knows(
        self, engines: Callable, tmp_path: Path, model: str, scale_matters: bool, negative_matters: bool
    ) -> None:
        plain = self.made(engines(model), tmp_path)
        assert (self.made(engines(model), tmp_path, guidance_scale=9.0) != plain).any() == scale_matters
        assert (self.made(engines(model), tmp_path, negative_prompt="eyes") != plain).any() == negative_matters

    def test_a_turbo_model_needs_one_step_and_none_of_it(self, engines: Callable, tmp_path: Path) -> None:
        recorder = Recorder()
        engines("turbo").run(task(tmp_path, "text", {}, steps=1, guidance_scale=0.0), recorder)
        assert recorder.seen[-1].total == 1 and pixels(tmp_path).std() > 5


class TestSharing:
    def test_other_tasks_take_no_memory_for_weights(
        self, engines: Callable, pictures: dict, tmp_path: Path, tiny_model: Callable
    ) -> None:
        engine = load(tiny_model("sd3"), OPTIONS)
        for kind in ("text", "image", "hires"):
            engine.run(task(tmp_path, kind, pictures), Recorder())
        pipes = [engine._pipe, *engine._pipelines._made.values()]
        assert len({id(pipe) for pipe in pipes}) == 2
        weights = {weight.data_ptr() for pipe in pipes for weight in pipe.transformer.parameters()}
        assert len(weights) == len({weight.data_ptr() for weight in engine._pipe.transformer.parameters()})

    @pytest.mark.parametrize("model", ["sd3", "flux_dev"])
    def test_parked_and_woken_they_draw_the_same(
        self, pictures: dict, tmp_path: Path, tiny_model: Callable, model: str
    ) -> None:
        engine = load(tiny_model(model), OPTIONS)
        before = engine.run(task(tmp_path, "inpaint", pictures), Recorder())
        engine.park()
        assert not engine._pipelines._made and engine._pipe.transformer is None
        engine.wake()
        assert engine.run(task(tmp_path, "inpaint", pictures), Recorder()).files[0].sha256 == before.files[0].sha256


def test_a_flow_scheduler_that_takes_no_sigmas_is_refused_for_flux(engines: Callable, tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as caught:
        engines("flux_dev").run(task(tmp_path, "text", {}, scheduler="flow_heun"), Recorder())
    assert caught.value.sentence == "unfit_scheduler" and "flow_euler" in caught.value.hint
    engines("sd3").run(task(tmp_path, "text", {}, scheduler="flow_heun"), Recorder())


def test_packed_latents_are_those_of_the_pipeline() -> None:
    from diffusers import FluxPipeline

    latents = torch.arange(2 * 16 * 6 * 4, dtype=torch.float32).reshape(2, 16, 6, 4)
    rows = FluxPipeline._pack_latents(latents, 2, 16, 6, 4)
    family = FAMILIES["FluxPipeline"]
    assert (pack(latents, family) == rows).all() and (unpack(rows, family, 6, 4) == latents).all()
