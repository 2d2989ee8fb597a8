"""Pictures from pictures: what comes in, what is kept, what changes, and what the recipe says of it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from engines.diffusers_image import DiffusersImage, load
from engines.engine import RunCancelled, RunFailed
from engines.image_inputs import canvas, faded, filled, fitted, grown
from engines.image_noise import slerp
from engines.image_steps import Schedule, from_picture, more_steps
from engines.picture_files import infotext
from engines.protocol import Hires, ImageStart, Inpaint, InputImage, Progress, SamplerSettings, TextToImage
from engines.schedulers import CHURN, SCHEDULERS, SETTINGS
from PIL import Image, ImageDraw

OPTIONS = {"threads": 1, "device": "cpu"}
WIDTH, HEIGHT = 64, 48


class Recorder:
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
def start(tmp_path_factory: pytest.TempPathFactory) -> InputImage:
    path = tmp_path_factory.mktemp("start") / "start.png"
    rough = np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)
    return InputImage(path=str(path), key="img_start", sha256="5" * 64)


@pytest.fixture
def masked(tmp_path: Path) -> Callable[..., InputImage]:
    """A mask with white boxes."""

    def mask(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (WIDTH, HEIGHT)) -> InputImage:
        image = Image.new("L", size)
        for left, top, right, bottom in boxes:
            image.paste(255, (left, top, right, bottom))
        image.save(tmp_path / "mask.png")
        return InputImage(path=str(tmp_path / "mask.png"), key="inp_mask", sha256="6" * 64)

    return mask


def task(output: Path, **changes: object) -> TextToImage:
    output.mkdir(exist_ok=True)
    settings = {"prompt": "a blue dragon", "negative_prompt": "", "seeds": [7], "steps": 4, "guidance_scale": 3.0}
    settings |= {"width": WIDTH, "height": HEIGHT, "scheduler": "euler", "preview_every": 0}
    return TextToImage(**{"task_id": "t", "output_dir": str(output), **settings, **changes})


def made(engine: DiffusersImage, output: Path, **changes: object) -> np.ndarray:
    engine.run(task(output, **changes), Recorder())
    return pixels(output / "0.png")


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


class TestSchedule:
    @pytest.mark.parametrize("steps", [1, 3, 7, 20, 49, 100])
    @pytest.mark.parametrize("strength", [0.01, 0.29, 0.35, 0.5, 0.99, 1.0])
    def test_pipelines_count_what_was_planned(self, steps: int, strength: float) -> None:
        schedule = from_picture(steps, strength)
        assert 1 <= schedule.kept <= steps and abs(schedule.kept - steps * strength) <= 1
        assert int(steps * schedule.strength) == schedule.kept  # SD and SDXL cut
        assert int(max(steps - min(steps * schedule.strength, steps), 0)) == steps - schedule.kept  # FLUX and SD 3

    def test_strength_zero_makes_no_step(self) -> None:
        assert from_picture(20, 0).kept == more_steps(20, 0, 1000).kept == 0

    def test_a_second_pass_makes_the_steps_that_were_asked_for(self) -> None:
        assert more_steps(10, 0.5, 1000) == Schedule(20, 10)
        assert more_steps(10, 1.0, 1000) == Schedule(10, 10)
        assert more_steps(100, 0.01, 1000) == Schedule(1000, 10)


class TestImageToImage:
    def test_more_strength_is_more_change(self, sd: DiffusersImage, start: InputImage, tmp_path: Path) -> None:
        def change(strength: float) -> float:
            begun = ImageStart(image=start, strength=strength)
            return float(abs(made(sd, tmp_path, start=begun, steps=8) - pixels(start.path)).mean())

        # A random decoder does not give back what was encoded; what strength 0 keeps is the picture itself.
        assert change(0.0) == 0 < change(0.13)

    def test_its_steps_are_counted(self, sd: DiffusersImage, start: InputImage, tmp_path: Path) -> None:
        for scheduler, steps in (("euler", 6), ("heun", 11), ("plms", 7)):
            recorder = Recorder()
            begun = ImageStart(image=start, strength=0.6)
            sd.run(task(tmp_path, steps=10, start=begun, scheduler=scheduler, seeds=[1, 2]), recorder)
            assert {one.total for one in recorder.seen} == {2 * steps} and recorder.seen[-1].step == 2 * steps

    def test_each_picture_is_the_one_it_would_be_alone(
        self, sd: DiffusersImage, start: InputImage, tmp_path: Path
    ) -> None:
        begun = ImageStart(image=start, strength=0.7)
        together = sd.run(task(tmp_path / "all", start=begun, seeds=[5, 6], scheduler="euler_a"), Recorder())
        alone = sd.run(task(tmp_path / "one", start=begun, seeds=[6], scheduler="euler_a"), Recorder())
        assert together.files[1].sha256 == alone.files[0].sha256 != together.files[0].sha256

    def test_batches_stay_within_one_level(
        self, tiny_sd: Path, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path
    ) -> None:
        changes = {"start": ImageStart(image=start, strength=0.7), "seeds": [1, 2, 3], "subseeds": [4, 5, 6]}
        changes |= {"subseed_strength": 0.3, "inpaint": Inpaint(mask=masked((8, 8, 40, 40)))}
        load(tiny_sd, {**OPTIONS, "batch": 3}).run(task(tmp_path / "batched", **changes), Recorder())
        sd.run(task(tmp_path / "single", **changes), Recorder())
        for index in range(3):
            one, other = (pixels(tmp_path / kind / f"{index}.png") for kind in ("batched", "single"))
            assert abs(one - other).max() <= 1

    def test_cancel_ends_between_two_steps_and_leaves_nothing(
        self, sd: DiffusersImage, start: InputImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engines.image_steps.PROGRESS_SECONDS", 0.0)
        recorder = Recorder(cancel_at=3)
        hires = Hires(width=128, height=96, steps=9)
        with pytest.raises(RunCancelled):
            sd.run(task(tmp_path, start=ImageStart(image=start, strength=0.5), hires=hires), recorder)
        assert recorder.seen[-1].step == 3 and recorder.seen[-1].total == 2 + 9, "it was in the second pass"
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"x" * 30])
    def test_a_file_that_is_no_picture(self, sd: DiffusersImage, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.png").write_bytes(content)
        begun = ImageStart(image=InputImage(path=str(tmp_path / "bad.png")))
        with pytest.raises(RunFailed) as caught:
            made(sd, tmp_path, start=begun)
        assert caught.value.code == "input_unreadable"


class TestInpaint:
    @pytest.mark.parametrize("only_masked", [False, True])
    @pytest.mark.parametrize("fill", ["original", "blur", "noise", "nothing"])
    def test_outside_the_mask_no_pixel_changes(
        self, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path, only_masked: bool, fill: str
    ) -> None:
        boxes = [(8, 8, 30, 30), (50, 40, 53, 41)]
        inpaint = Inpaint(mask=masked(*boxes), only_masked=only_masked, fill=fill, padding=4)
        result = made(sd, tmp_path, start=ImageStart(image=start, strength=0.8), inpaint=inpaint)
        mask, begun = np.asarray(Image.open(inpaint.mask.path)), pixels(start.path)
        assert (result[mask == 0] == begun[mask == 0]).all()
        assert (result[mask > 0] != begun[mask > 0]).any(axis=-1).mean() > 0.9

    @pytest.mark.parametrize("scheduler", ["heun", "dpmpp_2m", "dpmpp_sde", "dpm2_a", "ddim", "lcm", "plms", "unipc"])
    @pytest.mark.filterwarnings("ignore")
    def test_the_latents_outside_are_the_starts_after_every_step(
        self, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path, scheduler: str
    ) -> None:
        from engines import image_passes

        found = []

        class Looking(image_passes.Outside):
            def __call__(self, pipe: object, index: int, latents: torch.Tensor) -> torch.Tensor:
                kept = super().__call__(pipe, index, latents)
                left = pipe.num_timesteps - index - 1
                apart = (kept - self._clean)[:, :, self._inside[0, 0] == 0].abs().mean()
                found.append((left, float(apart)))
                return kept

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(image_passes, "Outside", Looking)
            begun = ImageStart(image=start, strength=0.8)
            made(sd, tmp_path, start=begun, inpaint=Inpaint(mask=masked((8, 8, 40, 40))), scheduler=scheduler, steps=6)
        assert found[-1] == (0, 0.0), "at the end they are the start's"
        assert found[0][1] > found[-2][1] > 0, "and before, under less and less noise"

    def test_a_mask_without_white_is_refused(
        self, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path
    ) -> None:
        with pytest.raises(RunFailed) as caught:
            made(sd, tmp_path, start=ImageStart(image=start), inpaint=Inpaint(mask=masked()))
        assert caught.value.code == "mask_empty" and caught.value.hint

    def test_a_whole_mask_is_image_to_image(
        self, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path
    ) -> None:
        begun = ImageStart(image=start, strength=0.7)
        everywhere = Inpaint(mask=masked((0, 0, WIDTH, HEIGHT)), blur=0)
        plain = made(sd, tmp_path / "plain", start=begun)
        assert (made(sd, tmp_path / "masked", start=begun, inpaint=everywhere) == plain).all()


class TestCanvas:
    def test_fits(self) -> None:
        image = Image.new("RGB", (100, 50), (255, 0, 0))
        image.paste((0, 0, 255), (0, 0, 10, 50))
        assert {fitted(image, 64, 64, fit).size for fit in ("crop", "pad", "stretch")} == {(64, 64)}
        assert np.asarray(fitted(image, 64, 64, "crop"))[:, :, 2].max() < 90, "the blue edge is cut off"
        padded = np.asarray(fitted(image, 64, 64, "pad"))
        assert (padded[0] == padded[32]).all() and padded[0, 0, 2] == 255, "edges go on"
        assert (np.asarray(fitted(Image.new("L", (100, 50), 255), 64, 64, "pad", outside=0))[0] == 0).all()
        with pytest.raises(RunFailed, match="crop"):
            fitted(image, 64, 64, "squeeze")

    def test_the_edge_of_a_mask_rises_inside_only(self) -> None:
        mask = Image.new("L", (64, 64))
        ImageDraw.Draw(mask).ellipse((10, 10, 50, 50), fill=255)
        soft = np.asarray(faded(mask, 4)).astype(int)
        hard = np.asarray(mask)
        assert (soft[hard == 0] == 0).all() and soft[30, 30] == 255
        assert list(soft[30, 10:15]) == sorted(soft[30, 10:15]) and soft[30, 10] > 0
        line = Image.new("L", (64, 64))
        line.paste(255, (30, 0, 32, 64))
        assert np.asarray(faded(line, 8)).max() > 0, "a thin stroke is not lost"

    def test_fills_change_what_is_under_the_mask_alone(self) -> None:
        image = Image.new("RGB", (96, 64), (200, 30, 30))
        mask = Image.new("L", image.size)
        mask.paste(255, (20, 20, 60, 50))
        image.paste((0, 255, 0), (20, 20, 60, 50))
        for fill in ("blur", "noise", "nothing"):
            result = np.asarray(filled(image, mask, fill)).astype(int)
            assert (result[np.asarray(mask) == 0] == (200, 30, 30)).all()
            inside = result[20:50, 20:60].reshape(-1, 3)
            if fill == "blur":
                assert abs(inside - (200, 30, 30)).max() < 12, "the surroundings' colours"
            else:
                assert (inside.std(0) > 40).all() == (fill == "noise")

    @pytest.mark.parametrize(
        ("box", "padding"), [((10, 10, 20, 14), 4), ((0, 0, 5, 5), 32), ((90, 60, 96, 64), 0), ((0, 0, 96, 64), 32)]
    )
    def test_the_part_that_is_worked_on(self, box: tuple[int, int, int, int], padding: int) -> None:
        left, top, right, bottom = grown(box, padding, 96, 64)
        assert 0 <= left <= box[0] and 0 <= top <= box[1] and box[2] <= right <= 96 and box[3] <= bottom <= 64
        assert abs((right - left) / (bottom - top) - 1.5) < 0.1, "the result's shape"

    def test_a_mask_of_another_size_lies_on_the_picture(self, start: InputImage, masked: Callable) -> None:
        mask = masked((16, 16, 80, 80), size=(2 * WIDTH, 2 * HEIGHT))
        there = canvas(ImageStart(image=start), Inpaint(mask=mask), WIDTH, HEIGHT)
        assert there.mask is not None and there.mask.getbbox() == (8, 8, 40, 40)


class TestVariations:
    def test_strength_leads_from_one_seed_to_the_other(self, sd: DiffusersImage, tmp_path: Path) -> None:
        def with_strength(strength: float, **more: object) -> np.ndarray:
            return made(sd, tmp_path, subseeds=[8], subseed_strength=strength, **more)

        seven, eight = made(sd, tmp_path, scheduler="euler_a"), made(sd, tmp_path, seeds=[8])
        assert (with_strength(0.0, scheduler="euler_a") == seven).all()
        assert abs(with_strength(1.0) - eight).max() <= 1  # Euler asks for no noise beyond the first
        near, far = with_strength(0.2), with_strength(0.6)
        plain = made(sd, tmp_path)
        assert 0 < abs(near - plain).mean() < abs(far - plain).mean()

    def test_also_from_a_picture(self, sd: DiffusersImage, start: InputImage, tmp_path: Path) -> None:
        begun = ImageStart(image=start, strength=0.7)
        other = made(sd, tmp_path, seeds=[8], start=begun)
        assert abs(made(sd, tmp_path, start=begun, subseeds=[8], subseed_strength=1.0) - other).max() <= 1
        assert (made(sd, tmp_path, start=begun, subseeds=[8], subseed_strength=0.4) != other).any()

    def test_noise_stays_noise(self) -> None:
        one, other = torch.randn(2, 1, 4, 64, 64, generator=torch.Generator().manual_seed(1))
        for part in (0.0, 0.3, 0.5, 1.0):
            assert abs(float(slerp(part, one, other).std()) - 1) < 0.02
        assert torch.allclose(slerp(0.0, one, other), one, atol=1e-5)
        assert torch.allclose(slerp(0.4, one, one), one, atol=1e-4)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"subseeds": [1, 2]}, "invalid_subseeds"),
            ({"subseeds": [-1]}, "invalid_seeds"),
            ({"subseeds": [1], "subseed_strength": 1.5}, "invalid_strength"),
            ({"hires": Hires(width=65, height=64, steps=1)}, "invalid_width"),
            ({"hires": Hires(width=64, height=64, steps=0)}, "invalid_steps"),
            ({"hires": Hires(width=64, height=64, steps=1, upscaler="magic")}, "invalid_upscaler"),
            ({"inpaint": Inpaint(mask=InputImage(path="/x"))}, "no_start"),
            ({"steps": 60, "scheduler": "lcm"}, "invalid_steps"),
            ({"format": "webp", "quality": 101}, "invalid_quality"),
        ],
    )
    def test_the_code_names_the_field(self, sd: DiffusersImage, tmp_path: Path, changes: dict, code: str) -> None:
        with pytest.raises(RunFailed) as caught:
            made(sd, tmp_path, **changes)
        assert caught.value.code == code


class TestSecondPass:
    @pytest.mark.parametrize("upscaler", ["latent", "lanczos", "nearest"])
    def test_enlarges_and_draws_on(self, sd: DiffusersImage, tmp_path: Path, upscaler: str) -> None:
        small = made(sd, tmp_path / "small")
        hires = Hires(width=2 * WIDTH, height=2 * HEIGHT, steps=3, strength=0.5, upscaler=upscaler)
        large = made(sd, tmp_path / "large", hires=hires)
        assert large.shape == (2 * HEIGHT, 2 * WIDTH, 3)
        filter = Image.Resampling.BICUBIC
        plain = np.asarray(Image.fromarray(small.astype(np.uint8)).resize((2 * WIDTH, 2 * HEIGHT), filter)).astype(int)
        assert abs(large - plain).mean() > 1

    def test_without_strength_it_enlarges_alone(self, sd: DiffusersImage, tmp_path: Path) -> None:
        hires = Hires(width=2 * WIDTH, height=2 * HEIGHT, steps=3, strength=0.0, upscaler="nearest")
        large = made(sd, tmp_path / "large", hires=hires)
        assert (large[::2, ::2] == made(sd, tmp_path / "small")).all()

    def test_with_a_sampler_of_its_own(self, sd: DiffusersImage, tmp_path: Path) -> None:
        def drawn(scheduler: str | None) -> np.ndarray:
            hires = Hires(width=96, height=72, steps=3, strength=0.5, scheduler=scheduler)
            return made(sd, tmp_path / "large", scheduler="euler", hires=hires)

        same, other = drawn(None), drawn("heun_karras")
        assert (drawn("euler") == same).all() and (other != same).any()
        recorder = Recorder()
        hires = Hires(width=96, height=72, steps=3, strength=0.5, scheduler="heun_karras")
        recipe = sd.run(task(tmp_path, scheduler="euler", hires=hires), recorder).files[0].recipe
        assert recorder.seen[-1].step == recorder.seen[-1].total, "Heun's two calls a step are counted"
        told = {name: recipe["hires"][name] for name in ("scheduler", "sampler", "schedule_type")}
        assert told == {"scheduler": "heun_karras", "sampler": "Heun", "schedule_type": "Karras"}
        assert "Hires sampler: Heun, Hires schedule type: Karras, Hires upscale: 1.5" in infotext(recipe)
        with pytest.raises(RunFailed) as caught:
            drawn("flow_euler")
        assert caught.value.sentence == "unfit_scheduler"


class TestSamplerSettings:
    CHURN = SamplerSettings(s_churn=4.0, s_noise=1.1)

    def test_noise_is_put_back(self, sd: DiffusersImage, tmp_path: Path) -> None:
        """By each picture's own generator: the same recipe gives the same picture, alone and beside others."""
        for key, settings in (("euler", self.CHURN), ("ddim", SamplerSettings(eta=1.0))):
            plain = made(sd, tmp_path, scheduler=key)
            noisy = made(sd, tmp_path, scheduler=key, sampler_settings=settings)
            assert (noisy != plain).any()
            assert (made(sd, tmp_path, scheduler=key, sampler_settings=settings, seeds=[7, 8]) == noisy).all()
        bounded = SamplerSettings(s_churn=4.0, s_tmin=1e4)
        assert (made(sd, tmp_path, scheduler="euler", sampler_settings=bounded) == made(sd, tmp_path)).all()

    def test_they_stand_in_the_recipe(self, sd: DiffusersImage, tmp_path: Path) -> None:
        recipe = sd.run(task(tmp_path, scheduler="euler", sampler_settings=self.CHURN), Recorder()).files[0].recipe
        assert recipe["sampler_settings"] == {"s_churn": 4.0, "s_noise": 1.1}
        assert "Sigma churn: 4, Sigma noise: 1.1" in infotext(recipe)

    @pytest.mark.parametrize("key", ["euler_a", None])
    def test_a_sampler_that_takes_none_refuses_them(self, sd: DiffusersImage, tmp_path: Path, key: str | None) -> None:
        with pytest.raises(RunFailed, match="takes no s_churn, s_noise") as caught:
            sd.run(task(tmp_path, scheduler=key, sampler_settings=self.CHURN), Recorder())
        assert caught.value.code == "invalid_sampler_settings"

    def test_the_table_says_what_diffusers_takes(self) -> None:
        import diffusers

        names = {"eta", *CHURN}
        for cls in {choice.cls for choice in SCHEDULERS.values()}:
            taken = names & set(inspect.signature(getattr(diffusers, cls).step).parameters)
            assert taken == set(SETTINGS.get(cls, ())) or cls == "FlowMatchEulerDiscreteScheduler", cls


class TestClipSkip:
    def test_leaves_out_layers(self, sd: DiffusersImage, tmp_path: Path) -> None:
        assert (made(sd, tmp_path, clip_skip=1, guidance_scale=9.0) != made(sd, tmp_path, guidance_scale=9.0)).any()


class TestRecipe:
    def test_names_everything_that_made_it(
        self, sd: DiffusersImage, start: InputImage, masked: Callable, tmp_path: Path
    ) -> None:
        changes = {
            "start": ImageStart(image=start, strength=0.7, fit="pad"),
            "inpaint": Inpaint(mask=masked((8, 8, 40, 40)), blur=3, fill="noise", only_masked=True, padding=9),
            "subseeds": [9],
            "subseed_strength": 0.25,
            "clip_skip": 1,
        }
        recipe = sd.run(task(tmp_path, **changes), Recorder()).files[0].recipe
        assert recipe["task"] == "inpaint"
        assert recipe["start"] == {"key": "img_start", "sha256": "5" * 64, "strength": 0.7, "fit": "pad"}
        assert recipe["inpaint"] == {
            "mask": {"key": "inp_mask", "sha256": "6" * 64},
            "blur": 3,
            "fill": "noise",
            "only_masked": True,
            "padding": 9,
        }
        assert (recipe["subseed"], recipe["subseed_strength"], recipe["clip_skip"]) == (9, 0.25, 1)
        image = Image.open(tmp_path / "0.png")
        assert json.loads(image.text["atelier"]) == recipe
        for words in (
            "Variation seed: 9, Variation seed strength: 0.25, Denoising strength: 0.7, Mask blur: 3",
            "Inpaint area: Only masked, Masked area padding: 9, Clip skip: 2",
        ):
            assert words in image.text["parameters"]

    def test_of_a_second_pass(self, sd: DiffusersImage, tmp_path: Path) -> None:
        hires = Hires(width=96, height=72, steps=3, strength=0.4, upscaler="latent")
        recipe = sd.run(task(tmp_path, hires=hires), Recorder()).files[0].recipe
        assert (recipe["width"], recipe["height"]) == (WIDTH, HEIGHT) and recipe["task"] == "text_to_image"
        assert recipe["hires"] == {"width": 96, "height": 72, "steps": 3, "strength": 0.4, "upscaler": "latent"}
        assert "Denoising strength: 0.4" in infotext(recipe)
        assert "Hires upscale: 1.5, Hires steps: 3, Hires upscaler: Latent" in infotext(recipe)

    def test_leaves_out_what_was_not_used(self, sd: DiffusersImage, tmp_path: Path) -> None:
        recipe = sd.run(task(tmp_path), Recorder()).files[0].recipe
        assert not {"start", "inpaint", "hires", "subseed", "clip_skip"} & set(recipe)
        assert "Denoising" not in infotext(recipe) and "Clip skip" not in infotext(recipe)


class TestEmbeddedModel:
    """The model that Atelier ships, whose decoder gives back what its encoder saw."""

    @pytest.fixture(scope="class")
    def engine(self, creatures: Path) -> DiffusersImage:
        return load(creatures, OPTIONS)

    @pytest.fixture(scope="class")
    def red(self, engine: DiffusersImage, tmp_path_factory: pytest.TempPathFactory) -> InputImage:
        folder = tmp_path_factory.mktemp("red")
        made(engine, folder, prompt="a red dragon on a white background", width=256, height=256, steps=12)
        return InputImage(path=str(folder / "0.png"))

    def test_a_little_strength_keeps_the_picture_and_more_changes_it(
        self, engine: DiffusersImage, red: InputImage, tmp_path: Path
    ) -> None:
        def changed(strength: float) -> float:
            begun = ImageStart(image=red, strength=strength)
            settings = {"prompt": "a blue dragon on a white background", "width": 256, "height": 256, "steps": 10}
            return float(abs(made(engine, tmp_path, start=begun, **settings) - pixels(red.path)).mean())

        little, much = changed(0.1), changed(0.9)
        assert little + 5 < much, (little, much)

    def test_a_masked_half_becomes_what_is_asked_for(
        self, engine: DiffusersImage, red: InputImage, masked: Callable, tmp_path: Path
    ) -> None:
        mask = masked((0, 0, 128, 256), size=(256, 256))
        settings = {"prompt": "a dragon on a blue background", "width": 256, "height": 256, "steps": 12}
        begun = ImageStart(image=red, strength=1.0)
        result = made(engine, tmp_path, start=begun, inpaint=Inpaint(mask=mask, fill="nothing"), **settings)
        before = pixels(red.path)
        assert (result[:, 128:] == before[:, 128:]).all()
        blueness = [picture[:, :120, 2].mean() - picture[:, :120, 0].mean() for picture in (before, result)]
        assert blueness[1] > blueness[0] + 20
