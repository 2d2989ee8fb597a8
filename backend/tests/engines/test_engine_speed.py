"""Load options that make a model smaller or faster: those that work here do, the others are left out and said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.configuration_utils import FrozenDict
from engines import image_speed
from engines.diffusers_image import DiffusersImage, load
from engines.engine import LoadFailed
from engines.image_families import Family
from engines.image_previews import Previews
from engines.image_speed import Speed, chosen_speed
from engines.protocol import Done, Progress, TextToImage
from PIL import Image

OPTIONS = {"threads": 1, "device": "cpu"}


class Quiet:
    cancelled = False

    def left_out(self, task_id: str) -> bool:
        return False

    def report(self, progress: Progress) -> None:
        pass


def picture(engine: DiffusersImage, folder: Path) -> np.ndarray:
    folder.mkdir()
    size = {"seeds": [7], "steps": 3, "guidance_scale": 3.0, "width": 64, "height": 64, "preview_every": 0}
    task = TextToImage(task_id="t", output_dir=str(folder), prompt="a dragon", negative_prompt="", **size)
    done = engine.run(task, Quiet())
    assert isinstance(done, Done)
    return np.asarray(Image.open(folder / "0.png").convert("RGB"), dtype=int)


@pytest.fixture(scope="module")
def plain(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, np.ndarray]:
    engine = load(tiny_sd, OPTIONS)
    return engine.weights_bytes, picture(engine, tmp_path_factory.mktemp("plain") / "p")


class TestQuantization:
    @pytest.mark.parametrize("name", ["int8", "fp8"])
    def test_weights_are_smaller_and_the_picture_nearly_the_same(self, tiny_sd, plain, tmp_path, capfd, name) -> None:
        engine = load(tiny_sd, {**OPTIONS, "quantization": name})
        assert f"quantised to {name}" in capfd.readouterr().err
        assert engine.weights_bytes < plain[0] - 20_000
        off = np.abs(picture(engine, tmp_path / "a") - plain[1]).mean()
        assert 0 < off < 10
        engine.park()
        engine.wake()
        assert engine.weights_bytes < plain[0] - 20_000
        assert np.abs(picture(engine, tmp_path / "b") - plain[1]).mean() == off, "awake it is quantised again"

    def test_one_that_cannot_be_had_is_left_out_and_said(self, tiny_sd, plain, tmp_path, capfd, monkeypatch) -> None:
        def none(*_rest: object) -> None:
            raise NotImplementedError("this device has no such type")

        monkeypatch.setattr(image_speed, "_try_out", none)
        engine = load(tiny_sd, {**OPTIONS, "quantization": "fp8"})
        assert "fp8 weights cannot be had here" in capfd.readouterr().err
        assert engine.weights_bytes == plain[0] and (picture(engine, tmp_path / "a") == plain[1]).all()


class TestTheRest:
    def test_what_this_machine_lacks_is_left_out_and_said(self, tiny_sd, plain, tmp_path, capfd) -> None:
        wanted = {"attention": "flash", "offload": "model", "step_cache": True}
        engine = load(tiny_sd, {**OPTIONS, **wanted})
        told = capfd.readouterr().err
        for words in ("flash attention cannot be had", "nothing to offload from", "it is for transformers"):
            assert words in told
        noted = {(one.option, one.why) for one in engine.left_out}
        assert noted == {("attention: flash", "error"), ("offload: model", "cpu"), ("step_cache", "model")}
        assert [(one.option, one.why) for one in engine.attention.without] == [("flash", "error")]
        assert engine.attention.without[0].reason and engine.attention.backend == "sdpa"
        bare = load(tiny_sd, OPTIONS)
        assert bare.left_out == []
        assert [(one.option, one.why) for one in bare.attention.without] == [("flash", "cpu"), ("xformers", "cpu")]
        assert (picture(engine, tmp_path / "a") == plain[1]).all()

    def test_channels_last_draws_the_same(self, tiny_sd, plain, tmp_path) -> None:
        engine = load(tiny_sd, OPTIONS)
        image_speed.channels_last(engine._pipe)
        assert engine._pipe.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
        assert engine._pipe.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
        assert np.abs(picture(engine, tmp_path / "a") - plain[1]).max() <= 1

    def test_slicing_and_tiling_the_decoder(self, tiny_sd, plain, tmp_path, capfd) -> None:
        engine = load(tiny_sd, {**OPTIONS, "vae_slicing": True, "vae_tiling": True})
        assert engine._pipe.vae.use_slicing and engine._pipe.vae.use_tiling
        assert np.abs(picture(engine, tmp_path / "a") - plain[1]).mean() < 5

    def test_compiling_without_a_compiler_is_left_out_and_said(self, tiny_sd, capfd, monkeypatch) -> None:
        monkeypatch.setattr(image_speed.shutil, "which", lambda _name: None)
        load(tiny_sd, {**OPTIONS, "compile": True})
        assert "needs a C++ compiler" in capfd.readouterr().err

    def test_compiling_asks_for_the_repeated_blocks_alone(self, tiny_sd, monkeypatch) -> None:
        compiled: list[str] = []
        monkeypatch.setattr(image_speed.shutil, "which", lambda name: name)
        monkeypatch.setattr(
            torch.nn.Module, "compile", lambda module, *_a, **_k: compiled.append(type(module).__name__)
        )
        load(tiny_sd, {**OPTIONS, "compile": True})
        assert compiled and set(compiled) == {"BasicTransformerBlock"}


class TestOffloading:
    def test_previews_are_fitted_where_the_latents_are(self) -> None:
        """An offloaded decoder says that it is on the processor; its hooks bring it to where it works."""

        class Waiting:
            device, dtype, config = torch.device("meta"), torch.float32, FrozenDict(latent_channels=4, scaling_factor=1)

            def decode(self, latents: torch.Tensor) -> SimpleNamespace:
                assert latents.device.type == "cpu", "where it works here"
                return SimpleNamespace(sample=latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3))

        previews = Previews(SimpleNamespace(vae=Waiting(), vae_scale_factor=8), Family("x", None))
        assert len(previews.jpegs(torch.randn(1, 4, 8, 8), (64, 64))) == 1


class TestChoosing:
    def test_nothing_lossy_unless_somebody_asks(self) -> None:
        assert chosen_speed({}) == Speed() == chosen_speed({"quality": "lossless"})

    def test_a_tier_and_what_is_said_beside_it(self) -> None:
        assert chosen_speed({"quality": "balanced"}) == Speed(quantization="fp8")
        fast = chosen_speed({"quality": "fast", "quantization": "none"})
        assert fast == Speed(quantization="none", step_cache=True, attention="sage")

    def test_a_word_that_is_none_is_refused(self) -> None:
        with pytest.raises(LoadFailed, match="quantization 'int4' is none of none, int8, fp8, fp4"):
            chosen_speed({"quantization": "int4"})
