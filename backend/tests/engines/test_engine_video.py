"""Videos from a picture, with a tiny Stable Video Diffusion of the real classes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from engines.diffusers_image import load
from engines.engine import RunCancelled, RunFailed
from engines.image_to_video import DiffusersVideo
from engines.protocol import ImageToVideo, InputImage, Progress, TextToImage
from engines.video_files import write_video
from PIL import Image

OPTIONS = {"threads": 1, "device": "cpu"}


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
def svd(tiny_model: Callable[[str], Path]) -> DiffusersVideo:
    engine = load(tiny_model("svd"), OPTIONS)
    assert isinstance(engine, DiffusersVideo)
    return engine


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> InputImage:
    path = tmp_path_factory.mktemp("start") / "start.png"
    rough = np.random.default_rng(1).integers(0, 255, (6, 9, 3), np.uint8)
    Image.fromarray(rough).resize((90, 60), Image.Resampling.BICUBIC).save(path)
    return InputImage(path=str(path), key="img_1", sha256="5" * 64)


def task(output: Path, start: InputImage, **changes: object) -> ImageToVideo:
    output.mkdir(exist_ok=True)
    settings = {"seeds": [3], "steps": 2, "guidance_scale": 3.0, "width": 48, "height": 32, "frames": 5, "fps": 7}
    return ImageToVideo(**{"task_id": "t", "output_dir": str(output), "image": start, **settings, **changes})


class TestVideo:
    def test_mp4(self, svd: DiffusersVideo, start: InputImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engines.image_steps.PREVIEW_SECONDS", 0.0)
        recorder = Recorder()
        done = svd.run(task(tmp_path, start, seeds=[3, 4]), recorder)
        file = done.files[0]
        assert (file.width, file.height, file.frames, file.fps, file.path) == (48, 32, 5, 7.0, "0.mp4")
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "0.mp4", "0.thumb.webp", "1.mp4", "1.thumb.webp"
        ]  # fmt: skip
        data = (tmp_path / "0.mp4").read_bytes()
        assert data.index(b"moov") < data.index(b"mdat"), "it plays before it is loaded"
        with av.open(str(tmp_path / "0.mp4")) as video:
            (stream,) = video.streams
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 7 and len(list(video.decode(stream))) == 5
            assert json.loads(video.metadata["comment"]) == {"atelier": file.recipe}
        assert file.recipe["start"] == {"key": "img_1", "sha256": "5" * 64} and file.recipe["model_hash"]
        assert Image.open(tmp_path / "0.thumb.webp").size == (48, 32)
        steps = [one.step for one in recorder.seen]
        assert steps == [1, 2, 3, 4] and {one.total for one in recorder.seen} == {4}
        previews = [(one.index, one.final) for progress in recorder.seen for one in progress.previews]
        assert {(0, False), (1, False), (0, True)} <= set(previews)
        shown = Image.open(io.BytesIO(base64.b64decode(recorder.seen[0].previews[0].jpeg)))
        assert shown.size == (48, 32)

    def test_webp(self, svd: DiffusersVideo, start: InputImage, tmp_path: Path) -> None:
        file = svd.run(task(tmp_path, start, format="webp"), Recorder()).files[0]
        image = Image.open(tmp_path / "0.webp")
        assert (image.format, image.n_frames, image.size) == ("WEBP", 5, (48, 32))
        image.seek(4)
        image.load()
        assert image.info["duration"] == 143
        assert json.loads(image.getexif()[0x010E])["atelier"] == file.recipe

    def test_the_same_recipe_gives_the_same_bytes_alone_and_together(
        self, svd: DiffusersVideo, start: InputImage, tmp_path: Path
    ) -> None:
        both = svd.run(task(tmp_path / "both", start, seeds=[3, 4]), Recorder())
        alone = svd.run(task(tmp_path / "alone", start, seeds=[4]), Recorder())
        assert both.files[1].sha256 == alone.files[0].sha256 != both.files[0].sha256

    @pytest.mark.parametrize("change", [{"motion": 5}, {"noise": 0.5}, {"fps": 20}, {"guidance_scale": 1.0}])
    def test_settings_matter(self, svd: DiffusersVideo, start: InputImage, tmp_path: Path, change: dict) -> None:
        def posters(**changes: object) -> bytes:
            svd.run(task(tmp_path, start, format="webp", **changes), Recorder())
            frames = Image.open(tmp_path / "0.webp")
            frames.seek(4)
            return frames.convert("RGB").tobytes()

        assert posters() != posters(**change)

    def test_it_is_what_the_pipeline_makes(
        self, svd: DiffusersVideo, start: InputImage, tiny_model: Callable, tmp_path: Path
    ) -> None:
        from diffusers import StableVideoDiffusionPipeline

        pipe = StableVideoDiffusionPipeline.from_pretrained(tiny_model("svd"))
        picture = Image.open(start.path).resize((48, 32), Image.Resampling.LANCZOS, box=(0, 0, 90, 60))
        bare = pipe(
            picture, width=48, height=32, num_frames=4, num_inference_steps=2, decode_chunk_size=2,
            generator=torch.Generator("cpu").manual_seed(3), output_type="np",
        ).frames[0]  # fmt: skip
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "engines.image_to_video.write_video",
                lambda frames, *rest: seen.append(frames) or write_video(frames, *rest),
            )
            svd.run(task(tmp_path, start, frames=4), Recorder())
        assert abs(seen[0].astype(int) - (bare * 255).round().astype(int)).max() <= 1

    def test_cancel_ends_it(
        self, svd: DiffusersVideo, start: InputImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engines.image_steps.PROGRESS_SECONDS", 0.0)
        for at in (1, 3):  # between two steps; and after the last one, while frames are decoded
            recorder = Recorder(cancel_at=at)
            with pytest.raises(RunCancelled):
                svd.run(task(tmp_path, start, steps=3), recorder)
            assert recorder.seen[-1].step == at and list(tmp_path.iterdir()) == []

    def test_parked_and_woken_it_makes_the_same(self, svd: DiffusersVideo, start: InputImage, tmp_path: Path) -> None:
        before = svd.run(task(tmp_path, start), Recorder()).files[0].sha256
        parked = svd.park()
        assert parked.rest_bytes > 0 and svd._pipe.unet is None
        svd.wake()
        assert svd.run(task(tmp_path, start), Recorder()).files[0].sha256 == before and svd.weights_bytes > 0

    def test_out_of_memory_fails_the_run_only(
        self, svd: DiffusersVideo, start: InputImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def exhausted(*_args: object, **_named: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        with monkeypatch.context() as patch:
            patch.setattr(svd._pipe.vae, "decode", exhausted)
            with pytest.raises(RunFailed) as caught:
                svd.run(task(tmp_path, start, preview_every=0), Recorder())
        assert caught.value.code == "out_of_memory" and list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"width": 60}, "invalid_width"),
            ({"frames": 1}, "invalid_frames"),
            ({"frames": 10**6}, "invalid_frames"),
            ({"fps": 0}, "invalid_fps"),
            ({"motion": 0}, "invalid_motion"),
            ({"noise": 2.0}, "invalid_noise"),
            ({"format": "gif"}, "invalid_format"),
            ({"seeds": []}, "invalid_seeds"),
            ({"image": InputImage(path="/nowhere.png")}, "input_unreadable"),
        ],
    )
    def test_the_code_names_the_field(
        self, svd: DiffusersVideo, start: InputImage, tmp_path: Path, change: dict, code: str
    ) -> None:
        with pytest.raises(RunFailed) as caught:
            svd.run(task(tmp_path, **{"start": start, **change}), Recorder())
        assert caught.value.code == code

    def test_each_model_says_what_it_is_not_for(
        self, svd: DiffusersVideo, tiny_sd: Path, start: InputImage, tmp_path: Path
    ) -> None:
        words = TextToImage(
            task_id="t", output_dir=str(tmp_path), prompt="x", negative_prompt="", seeds=[1], steps=1,
            guidance_scale=1, width=64, height=64,
        )  # fmt: skip
        for engine, wrong, sentence in (
            (svd, words, "only_videos"),
            (load(tiny_sd, OPTIONS), task(tmp_path, start), "no_videos"),
        ):
            with pytest.raises(RunFailed) as caught:
                engine.run(wrong, Recorder())
            assert caught.value.sentence == sentence and caught.value.hint


def test_colours_come_back_out_of_an_mp4(tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (128, 128, 128)]
    frames = np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in colours])
    file = write_video(frames, tmp_path, 0, "mp4", 5, {"seed": 1})
    with av.open(str(tmp_path / file.path)) as video:
        for frame, colour in zip(video.decode(video=0), colours, strict=True):
            assert abs(frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(0) - colour).max() < 6
