"""Text to image with the real diffusers on tiny models: recipes, seeds, metadata, previews, cancel, errors."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from engines.diffusers_image import DiffusersImage, load
from engines.engine import RunCancelled, RunFailed
from engines.picture_files import infotext
from engines.protocol import Done, Progress, TextToImage
from engines.schedulers import SCHEDULERS, choices_for
from PIL import Image
from worker_client import process_environment

OPTIONS = {"threads": 1, "device": "cpu"}


def coarse_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of two pictures' colours, 0 to 255, in squares of 8 pixels: noise and JPEG have no part in it."""
    first, second = (
        np.asarray(picture.convert("RGB").resize((one.width // 8, one.height // 8), Image.Resampling.BOX), float)
        for picture in (one, other)
    )
    return float(np.abs(first - second).mean())


class Recorder:
    """A run that keeps what it is told, and is cancelled once `cancel_at` steps were reported."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.seen: list[Progress] = []
        self._cancel_at = cancel_at

    @property
    def cancelled(self) -> bool:
        return self._cancel_at is not None and bool(self.seen) and self.seen[-1].step >= self._cancel_at

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)


@pytest.fixture(scope="module")
def sd(tiny_sd: Path) -> DiffusersImage:
    return load(tiny_sd, OPTIONS)


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl: Path) -> DiffusersImage:
    return load(tiny_sdxl, OPTIONS)


def task(output: Path, **changes: object) -> TextToImage:
    output.mkdir(exist_ok=True)
    settings = {
        "prompt": "a blue dragon, spotted",
        "negative_prompt": "",
        "seeds": [7],
        "steps": 4,
        "guidance_scale": 3.0,
        "width": 64,
        "height": 64,
    }
    return TextToImage(**{"task_id": "t", "output_dir": str(output), "preview_every": 0, **settings, **changes})


def make(engine: DiffusersImage, output: Path, **changes: object) -> Done:
    return engine.run(task(output, **changes), Recorder())


class TestRecipe:
    @pytest.mark.parametrize("scheduler", [None, "euler_a", "dpmpp_2m_sde"])
    def test_the_same_recipe_gives_the_same_bytes(self, sd, tmp_path: Path, scheduler: str | None) -> None:
        first = make(sd, tmp_path / "a", scheduler=scheduler)
        make(sd, tmp_path / "b", scheduler="heun", seeds=[1])  # something else in between
        again = make(sd, tmp_path / "c", scheduler=scheduler)
        assert first.files[0].sha256 == again.files[0].sha256

    def test_also_after_a_restart_and_from_the_shell(self, sd, tiny_sd: Path, tmp_path: Path) -> None:
        here = make(sd, tmp_path / "a")
        again = make(load(tiny_sd, OPTIONS), tmp_path / "b")
        assert here.files[0].sha256 == again.files[0].sha256
        shell = [
            sys.executable,
            "-m",
            "engines.diffusers_image",
            str(tiny_sd),
            "a blue dragon, spotted",
            "--seed",
            "7",
            "--steps",
            "4",
        ]
        subprocess.run(
            [*shell, "--guidance", "3", "--size", "64x64", "--output", str(tmp_path)],
            env=process_environment(),
            check=True,
            timeout=90,
        )
        pictures = [np.asarray(Image.open(path)) for path in (tmp_path / "0.png", tmp_path / "a" / "0.png")]
        assert (pictures[0] == pictures[1]).all()

    def test_each_picture_is_the_one_it_would_be_alone(self, sd, tmp_path: Path) -> None:
        together = make(sd, tmp_path / "all", seeds=[5, 6, 7], scheduler="euler_a")
        for index, seed in enumerate([5, 6, 7]):
            alone = make(sd, tmp_path / f"one{seed}", seeds=[seed], scheduler="euler_a")
            assert alone.files[0].sha256 == together.files[index].sha256
        assert len({file.sha256 for file in together.files}) == 3

    def test_batches_stay_within_one_level_of_a_picture_alone(self, tiny_sd: Path, sd, tmp_path: Path) -> None:
        make(load(tiny_sd, {**OPTIONS, "batch": 4}), tmp_path / "batched", seeds=[1, 2, 3, 4, 5], scheduler="euler_a")
        make(sd, tmp_path / "single", seeds=[1, 2, 3, 4, 5], scheduler="euler_a")
        for index in range(5):
            one, other = (
                np.asarray(Image.open(tmp_path / kind / f"{index}.png")).astype(int) for kind in ("batched", "single")
            )
            assert abs(one - other).max() <= 1

    def test_it_is_what_a_bare_pipeline_makes(self, tiny_sd: Path, sd, tmp_path: Path) -> None:
        from diffusers import StableDiffusionPipeline

        pipe = StableDiffusionPipeline.from_pretrained(tiny_sd)
        generator = torch.Generator("cpu").manual_seed(7)
        bare = pipe(
            "a blue dragon, spotted",
            num_inference_steps=4,
            guidance_scale=3.0,
            width=64,
            height=64,
            generator=generator,
        ).images[0]
        make(sd, tmp_path)
        assert (np.asarray(bare) == np.asarray(Image.open(tmp_path / "0.png"))).all()

    def test_prompt_seed_guidance_and_negative_prompt_matter(self, sd, tmp_path: Path) -> None:
        changes: list[dict] = [
            {},
            {"prompt": "red"},
            {"seeds": [8]},
            {"guidance_scale": 9.0},
            {"guidance_scale": 1.0},
            {"negative_prompt": "wings"},
        ]
        hashes = set()
        for change in changes:
            make(sd, tmp_path, **change)
            hashes.add(hashlib.sha256(np.asarray(Image.open(tmp_path / "0.png")).tobytes()).hexdigest())
        assert len(hashes) == len(changes)

    def test_sdxl(self, sdxl, tmp_path: Path) -> None:
        first = make(sdxl, tmp_path / "a", width=96, height=64)
        again = make(sdxl, tmp_path / "b", width=96, height=64)
        assert first.files[0].sha256 == again.files[0].sha256
        assert Image.open(tmp_path / "a" / "0.png").size == (96, 64)
        make(sdxl, tmp_path / "c", guidance_scale=0.0)
        make(sdxl, tmp_path / "d", negative_prompt="wings", seeds=[1, 2])


# The other schedules of the same samplers run on a made-up denoiser in test_engine_sampler_names.py.
PICTURED = [key for key, choice in choices_for("noise").items() if choice.schedule_type in ("Automatic", "Karras")]


class TestSchedulers:
    def test_the_table_needs_no_library(self) -> None:
        code = "import sys; import engines.schedulers; assert not {'torch', 'diffusers', 'msgspec'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], env=process_environment(), check=True, timeout=30)

    @pytest.mark.parametrize("key", PICTURED)
    @pytest.mark.filterwarnings("ignore")
    def test_every_entry_makes_a_picture(self, sd, tmp_path: Path, key: str) -> None:
        done = make(sd, tmp_path, scheduler=key, steps=5)
        assert done.files[0].recipe["scheduler"] == key
        pixels = np.asarray(Image.open(tmp_path / "0.png"))
        assert pixels.std() > 1  # neither black nor grey

    @pytest.mark.parametrize("key", PICTURED)
    @pytest.mark.filterwarnings("ignore")
    def test_one_and_two_steps_are_no_accident(self, sd, tmp_path: Path, key: str) -> None:
        for steps in (1, 2):
            make(sd, tmp_path, scheduler=key, steps=steps, width=32, height=32)

    def test_the_models_noise_schedule_is_kept(self, sd, tmp_path: Path) -> None:
        make(sd, tmp_path, scheduler="dpmpp_2m_karras", steps=1)
        config = sd._pipe.scheduler.config
        assert (config.beta_start, config.beta_end, config.beta_schedule) == (0.00085, 0.012, "scaled_linear")
        assert config.use_karras_sigmas

    @pytest.mark.parametrize("key", [*choices_for("flow"), "nonsense"])
    def test_one_that_does_not_fit_is_refused(self, sd, tmp_path: Path, key: str) -> None:
        with pytest.raises(RunFailed) as caught:
            make(sd, tmp_path, scheduler=key)
        assert caught.value.code == "invalid_scheduler" and "dpmpp_2m" in caught.value.hint

    def test_names_are_unique(self) -> None:
        names = [choice.name for choice in choices_for("noise").values()]
        assert len(names) == len(set(names))
        assert all(choice.name.startswith(choice.sampler) for choice in SCHEDULERS.values())


class TestFiles:
    def test_png(self, sd, tmp_path: Path) -> None:
        words = {"prompt": 'naïve 龍, "quoted"', "negative_prompt": "wings", "asked": {"styles": ["Noir"]}}
        file = make(sd, tmp_path, **words, model_key="creatures").files[0]
        data = (tmp_path / "0.png").read_bytes()
        assert (file.sha256, file.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        image = Image.open(io.BytesIO(data))
        lines = image.text["parameters"].split("\n")
        assert lines[:2] == ['naïve 龍, "quoted"', "Negative prompt: wings"]
        assert lines[2].startswith(
            "Steps: 4, Sampler: PLMS, Schedule type: Automatic, CFG scale: 3, Seed: 7, Size: 64x64, Model hash: "
        )
        assert ", Model: creatures, RNG: CPU, Version: Atelier" in lines[2]
        recipe = json.loads(image.text["atelier"])
        assert recipe["asked"] == {"styles": ["Noir"]}
        assert recipe == file.recipe and recipe["seed"] == 7 and recipe["versions"]["diffusers"]

    def test_the_model_hash_is_that_of_the_denoiser(self, sd, tiny_sd: Path, tmp_path: Path) -> None:
        weights = (tiny_sd / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
        assert make(sd, tmp_path).files[0].recipe["model_hash"] == hashlib.sha256(weights).hexdigest()

    @pytest.mark.parametrize("format", ["jpeg", "webp"])
    def test_jpeg_and_webp(self, sd, tmp_path: Path, format: str) -> None:
        file = make(sd, tmp_path, format=format, prompt="naïve 龍").files[0]
        image = Image.open(tmp_path / f"0.{format}")
        assert image.format == format.upper()
        comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert comment[:8] == b"UNICODE\0"
        assert comment[8:].decode("utf-16-be") == infotext(file.recipe)
        assert json.loads(image.getexif()[0x010E])["atelier"] == file.recipe

    @pytest.mark.parametrize("format", ["jpeg", "webp"])
    def test_less_quality_is_a_smaller_file(self, sd, tmp_path: Path, format: str) -> None:
        size = {"width": 128, "height": 128, "steps": 1, "format": format}
        usual, less = make(sd, tmp_path, **size).files[0], make(sd, tmp_path, quality=30, **size).files[0]
        assert less.bytes < usual.bytes / 1.5
        assert less.recipe["quality"] == 30 and "quality" not in usual.recipe

    def test_the_thumbnail_is_small_webp(self, sd, tmp_path: Path) -> None:
        file = make(sd, tmp_path, width=512, height=64, steps=1).files[0]
        thumbnail = Image.open(tmp_path / file.thumbnail)
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (384, 48))

    def test_only_the_files_that_were_promised(self, sd, tmp_path: Path) -> None:
        make(sd, tmp_path, seeds=[1, 2])
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "0.thumb.webp", "1.png", "1.thumb.webp"]

    def test_values_with_commas_are_quoted(self) -> None:
        recipe = {"prompt": "p", "negative_prompt": "", "steps": 1, "sampler": "Euler", "schedule_type": "Automatic"}
        text = infotext({**recipe, "guidance_scale": 7.5, "seed": 0, "width": 8, "height": 8, "model": "a, b: c"})
        assert text.endswith('CFG scale: 7.5, Seed: 0, Size: 8x8, Model: "a, b: c", RNG: CPU, Version: Atelier')


class TestProgress:
    def test_counts_over_all_pictures(self, sd, tmp_path: Path) -> None:
        recorder = Recorder()
        sd.run(task(tmp_path, seeds=[1, 2, 3], scheduler="euler", steps=6), recorder)
        steps = [progress.step for progress in recorder.seen]
        assert steps == sorted(set(steps)) and steps[-1] == 18
        assert {6, 12} <= set(steps) and {progress.total for progress in recorder.seen} == {18}

    @pytest.mark.parametrize("scheduler", ["euler", "dpmpp_2m", "heun", "ddim", "lcm"])
    def test_previews_are_small_jpegs_and_become_the_picture(
        self, sd, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engines.image_steps.PREVIEW_SECONDS", 0.0)
        monkeypatch.setattr("engines.image_previews.PREVIEW_SIDE", 64)  # a picture twice as large is slow to draw
        recorder = Recorder()
        sd.run(task(tmp_path, seeds=[1, 2], preview_every=1, width=128, height=64, scheduler=scheduler), recorder)
        previews = [preview for progress in recorder.seen for preview in progress.previews]
        assert {preview.index for preview in previews} == {0, 1}
        data = base64.b64decode(previews[-1].jpeg)
        preview = Image.open(io.BytesIO(data))
        assert preview.format == "JPEG" and preview.size == (64, 32) and len(data) < 8000

    def test_a_finished_picture_is_shown_while_the_others_are_made(self, sd, tmp_path: Path) -> None:
        class Unhurried(Recorder):
            def report(self, progress: Progress) -> None:
                super().report(progress)
                time.sleep(0.02)  # the encoder thread comes to its turn, as it does beside a real model

        recorder = Unhurried()
        done = sd.run(task(tmp_path, seeds=[1, 2, 3], steps=8, preview_every=1, width=128, height=64), recorder)
        finals = [(at, one) for at, progress in enumerate(recorder.seen) for one in progress.previews if one.final]
        assert [one.index for _, one in finals] == [0, 1], "the last one is followed by the end of the run"
        for at, one in finals:
            assert recorder.seen[at].step > 8 * (one.index + 1), "not before it is done"
            after = [preview.index for progress in recorder.seen[at + 1 :] for preview in progress.previews]
            assert one.index not in after, "nothing blurred comes after it"
            shown = Image.open(io.BytesIO(base64.b64decode(one.jpeg)))
            assert shown.size == (128, 64)
            apart = [coarse_difference(shown, Image.open(tmp_path / file.path)) for file in done.files]
            assert apart[one.index] < 3 < min(apart[: one.index] + apart[one.index + 1 :])

    def test_previews_can_be_switched_off_and_are_rationed(self, sd, tmp_path: Path) -> None:
        recorder = Recorder()
        sd.run(task(tmp_path, steps=20), recorder)
        assert not any(progress.previews for progress in recorder.seen)
        started = time.monotonic()
        sd.run(task(tmp_path, steps=30, preview_every=1), recorder)
        allowed = (time.monotonic() - started) / 0.25 + 1
        assert 1 <= sum(bool(progress.previews) for progress in recorder.seen) <= allowed

    def test_cancel_ends_within_one_step(self, sd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engines.image_steps.PROGRESS_SECONDS", 0.0)
        recorder = Recorder(cancel_at=3)
        with pytest.raises(RunCancelled):
            sd.run(task(tmp_path, steps=50, scheduler="euler"), recorder)
        assert recorder.seen[-1].step == 3
        assert list(tmp_path.iterdir()) == []
        make(sd, tmp_path)  # and the next run is sound


class TestPromptCache:
    def test_a_repeated_prompt_is_not_encoded_again(self, sd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoded = []
        encode = sd._pipe.encode_prompt
        monkeypatch.setattr(
            sd._pipe,
            "encode_prompt",
            lambda *args, **named: encoded.append(named.get("prompt")) or encode(*args, **named),
        )
        first = make(sd, tmp_path / "a", prompt="something new")
        again = make(sd, tmp_path / "b", prompt="something new")
        assert encoded.count("something new") == 1
        assert first.files[0].sha256 == again.files[0].sha256

    def test_it_forgets_the_oldest(self, sd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engines.image_prompts.PROMPTS_KEPT", 2)
        for prompt in ("one", "two", "three"):
            make(sd, tmp_path, prompt=prompt, steps=1, width=16, height=16)
            while len(sd._prompts._kept) > 2:  # left by other tests
                sd._prompts._kept.popitem(last=False)
        assert [key[0] for key in sd._prompts._kept] == ["two", "three"]


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"width": 65}, "invalid_width"),
            ({"height": 0}, "invalid_height"),
            ({"height": -8}, "invalid_height"),
            ({"steps": 0}, "invalid_steps"),
            ({"steps": 10**9}, "invalid_steps"),
            ({"seeds": []}, "invalid_seeds"),
            ({"seeds": [-1]}, "invalid_seeds"),
            ({"seeds": [2**32]}, "invalid_seeds"),
            ({"guidance_scale": float("nan")}, "invalid_guidance_scale"),
            ({"guidance_scale": -1.0}, "invalid_guidance_scale"),
            ({"format": "../../x"}, "invalid_format"),
            ({"output_dir": "/nonexistent"}, "invalid_output_dir"),
        ],
    )
    def test_the_code_names_the_field(self, sd, tmp_path: Path, change: dict, code: str) -> None:
        with pytest.raises(RunFailed) as caught:
            make(sd, tmp_path, **change)
        assert caught.value.code == code

    def test_out_of_memory_fails_the_run_only(self, sd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(*_args: object, **_named: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        with monkeypatch.context() as patch:
            patch.setattr(sd._pipe.vae, "decode", exhausted)
            with pytest.raises(RunFailed) as caught:
                make(sd, tmp_path)
        assert caught.value.code == "out_of_memory" and "smaller" in caught.value.hint
        make(sd, tmp_path)


class TestEmbeddedModel:
    """The model that Atelier ships."""

    def test_draws_the_colour_that_was_asked_for(self, creatures: Path, tmp_path: Path) -> None:
        settings = (
            json.loads((creatures / "atelier.json").read_text()).get("defaults", {})
            if (creatures / "atelier.json").exists()
            else {}
        )
        engine = load(creatures, OPTIONS)
        size = {"width": settings.get("width", 128), "height": settings.get("height", 128)}
        means = {}
        for colour in ("red", "blue"):
            make(
                engine,
                tmp_path / colour,
                prompt=f"a {colour} dragon",
                seeds=[1, 2],
                steps=settings.get("steps", 16),
                **size,
            )
            means[colour] = np.mean(
                [np.asarray(Image.open(tmp_path / colour / f"{i}.png"), dtype=float).mean((0, 1)) for i in range(2)],
                axis=0,
            )
        assert means["red"][0] - means["red"][2] > means["blue"][0] - means["blue"][2] + 10

    def test_its_previews_resemble_the_picture(
        self, creatures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engines.image_steps.PREVIEW_SECONDS", 0.0)
        recorder = Recorder()
        load(creatures, OPTIONS).run(task(tmp_path, width=128, height=128, steps=12, preview_every=1), recorder)
        last = [preview for progress in recorder.seen for preview in progress.previews][-1]
        preview = np.asarray(
            Image.open(io.BytesIO(base64.b64decode(last.jpeg))).resize((16, 16), Image.Resampling.BOX), dtype=float
        )
        picture = np.asarray(Image.open(tmp_path / "0.png").resize((16, 16), Image.Resampling.BOX), dtype=float)
        assert np.corrcoef(preview.ravel(), picture.ravel())[0, 1] > 0.8
