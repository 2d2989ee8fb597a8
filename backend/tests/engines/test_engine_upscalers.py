"""Upscalers: which files are some, what they make of a picture, in tiles and whole, and where people choose them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import image_upscalers, upscaler_files
from engines.diffusers_image import DiffusersImage, load
from engines.engine import LoadFailed, RunCancelled, RunFailed
from engines.image_upscalers import MARGIN, Upscalers, enlarged_once, read_upscaler, spandrel
from engines.picture_files import infotext
from engines.protocol import Enlarge, Hires, ImageStart, InputImage, TextToImage, UpscalerUse
from engines.safetensors_file import read_header
from engines.upscaler import Upscaler
from engines.upscaler_files import KEYS, upscaler_architecture
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from tiny_upscalers import BUILDERS, build_upscaler

OPTIONS = {"threads": 1, "device": "cpu"}
OTHERS = {"GFPGAN", "RestoreFormer", "LaMa", "DRUNet", "DnCNN", "FBCNN", "FFTformer", "HVICIDNet", "KBNet"}
OTHERS |= {"MixDehazeNet", "NAFNet", "RetinexFormer", "SAFMNBCIE", "Uformer"}
"""What spandrel knows and what enlarges nothing: faces, holes, haze, noise, blur."""


class Listener:
    def __init__(self, tiles: int | None = None) -> None:
        self.tiles, self.heard = tiles, 0

    @property
    def cancelled(self) -> bool:
        return self.tiles is not None and self.heard >= self.tiles

    def left_out(self, task_id: str) -> bool:
        return False

    def report(self, progress: Any) -> None:
        self.heard += 1


def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def use(tmp_path_factory: pytest.TempPathFactory) -> UpscalerUse:
    path = build_upscaler(tmp_path_factory.mktemp("upscalers") / "4x-Tiny.safetensors")
    return UpscalerUse(key="4x-tiny", path=str(path), sha256="6" * 64)


@pytest.fixture(scope="module")
def network(use: UpscalerUse) -> Any:
    return read_upscaler(use, "cpu")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    rough = np.random.default_rng(1).integers(0, 255, (9, 13, 3), np.uint8)
    return Image.fromarray(rough).resize((104, 72), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def stored(picture: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> InputImage:
    path = tmp_path_factory.mktemp("start") / "start.png"
    picture.crop((0, 0, 32, 24)).save(path)
    return InputImage(path=str(path), key="img_start", sha256="5" * 64)


class TestFiles:
    def test_the_names_of_tensors_are_those_that_spandrel_looks_for(self) -> None:
        def data(condition: Any) -> Any:
            return condition if isinstance(condition, str) else {condition._kind: [data(k) for k in condition._keys]}

        known = {one.architecture.id: one.architecture for one in spandrel().MAIN_REGISTRY.architectures("detection")}
        ours = json.loads(KEYS.read_bytes())
        assert list(ours) == [name for name in known if name not in OTHERS]
        assert ours == {name: data(known[name]._detect) for name in ours}
        assert set(known) >= OTHERS

    @pytest.mark.parametrize(("name", "scale"), [("ESRGAN", 4), ("Compact", 2), ("SwinIR", 2)])
    def test_a_file_is_recognised_and_run(self, name: str, scale: int, picture: Image.Image, tmp_path: Path) -> None:
        assert name in BUILDERS
        path = build_upscaler(tmp_path / "some.safetensors", name)
        assert upscaler_architecture(read_header(path)) == name
        network = read_upscaler(UpscalerUse(key="some", path=str(path)), "cpu")
        assert network.architecture.id == name and network.dtype is torch.float32
        made = enlarged_once(picture, network, nothing)
        assert made.size == (104 * scale, 72 * scale)
        assert np.asarray(made).std() > 5

    def test_trainers_prefixes_and_other_files(self, use: UpscalerUse, tiny_sd: Path, tmp_path: Path) -> None:
        tensors = load_file(use.path)
        save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "prefixed.safetensors")
        assert upscaler_architecture(read_header(tmp_path / "prefixed.safetensors")) == "ESRGAN"
        for file in tiny_sd.glob("*/*.safetensors"):
            assert upscaler_architecture(read_header(file)) is None
        flat = {"body.0.weight": torch.zeros(4, 4), "body.1.weight": torch.zeros(4)}
        save_file(flat, tmp_path / "flat.safetensors")
        assert upscaler_architecture(read_header(tmp_path / "flat.safetensors")) is None

    def test_torchvision_is_neither_needed_nor_left_behind(self) -> None:
        import sys

        spandrel()
        assert not [name for name in sys.modules if name.startswith("torchvision")]

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [("old.pth", "upscaler_pickle"), ("gone.safetensors", "upscaler_missing"),
         ("odd.safetensors", "upscaler_unfit"), ("torn.safetensors", "upscaler_unfit"),
         ("cut.safetensors", "upscaler_unfit")],
    )  # fmt: skip
    def test_what_cannot_be_used_is_said(self, name: str, sentence: str, use: UpscalerUse, tmp_path: Path) -> None:
        (tmp_path / "old.pth").write_bytes(b"\x80\x02}q\x00.")
        (tmp_path / "torn.safetensors").write_bytes(b"\x10\x00")
        save_file({"a.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "odd.safetensors")
        tensors = {key: value for key, value in load_file(use.path).items() if not key.endswith("conv3.0.weight")}
        save_file(tensors, tmp_path / "cut.safetensors")
        with pytest.raises(RunFailed) as refused:
            read_upscaler(UpscalerUse(key="some", path=str(tmp_path / name)), "cpu")
        assert (refused.value.code, refused.value.sentence) == ("invalid_upscaler", sentence)
        assert "some" in str(refused.value) and str(tmp_path) not in str(refused.value)


class TestTiles:
    def test_there_are_no_seams(self, network: Any, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = np.asarray(enlarged_once(picture, network, nothing, tile=1024), int)
        tiles: list[None] = []
        pieces = np.asarray(enlarged_once(picture, network, lambda: tiles.append(None), tile=32), int)
        assert len(tiles) == 4 * 3 and pieces.shape == whole.shape
        assert np.abs(whole - pieces).max() <= 1
        monkeypatch.setattr(image_upscalers, "MARGIN", 0)
        assert np.abs(whole - np.asarray(enlarged_once(picture, network, nothing, tile=32), int)).max() > 8

    def test_smaller_ones_where_memory_runs_out(self, network: Any, picture: Image.Image) -> None:
        class Small:
            """The same network on a device that holds no more than 7000 pixels at once."""

            tiling, scale, device, dtype = network.tiling, network.scale, network.device, network.dtype

            def __call__(self, levels: torch.Tensor) -> torch.Tensor:
                if levels.shape[-1] * levels.shape[-2] > 7000:
                    raise torch.OutOfMemoryError
                return network(levels)

        whole = np.asarray(enlarged_once(picture, network, nothing), int)
        assert np.abs(whole - np.asarray(enlarged_once(picture, Small(), nothing), int)).max() <= 1
        with pytest.raises(torch.OutOfMemoryError):
            Small.__call__ = lambda self, levels: (_ for _ in ()).throw(torch.OutOfMemoryError())  # type: ignore[method-assign]
            enlarged_once(picture, Small(), nothing, tile=MARGIN)

    def test_as_often_as_the_size_takes(self, picture: Image.Image, tmp_path: Path) -> None:
        path = build_upscaler(tmp_path / "2x.safetensors", "Compact")
        use = UpscalerUse(key="2x", path=str(path))
        small = picture.crop((0, 0, 20, 12))
        upscalers = Upscalers("cpu")
        assert upscalers.enlarged(small, use, (40, 24), nothing).size == (40, 24)
        assert upscalers.enlarged(small, use, (41, 24), nothing).size == (80, 48)
        assert upscalers.enlarged(small, use, (4000, 24), nothing).size == (160, 96), "three times at most"

    def test_what_it_leaves_is_bounded(self, use: UpscalerUse, monkeypatch: pytest.MonkeyPatch) -> None:
        """A picture far larger than what is asked for, and one whose shape is far from it."""
        monkeypatch.setattr(upscaler_files, "FEWEST_LEFT", 1)
        upscalers, most = Upscalers("cpu"), 16 * 16 * 32
        for picture in (Image.new("RGB", (128, 64)), Image.new("RGB", (2000, 2)), Image.new("RGB", (1, 2000))):
            made = upscalers.enlarged(picture, use, (16, 32), nothing)
            assert 0 < made.width * made.height <= most
        assert upscalers.enlarged(Image.new("RGB", (16, 32)), use, (16, 32), nothing).size == (64, 128), "all of it"

    def test_files_are_read_once_and_given_up_when_there_are_too_many(self, use: UpscalerUse, tmp_path: Path) -> None:
        other = UpscalerUse(key="2x", path=str(build_upscaler(tmp_path / "2x.safetensors", "Compact")))
        upscalers = Upscalers("cpu", bytes_kept=1)
        first = upscalers.network(use)
        assert upscalers.network(use) is first
        upscalers.network(other)
        assert upscalers.network(use) is not first
        upscalers.forget()
        assert upscalers.bytes == 0


@pytest.fixture(scope="module")
def sd(tiny_sd: Path) -> DiffusersImage:
    model = load(tiny_sd, OPTIONS)
    assert isinstance(model, DiffusersImage)
    return model


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., TextToImage]:
    def task(**fields: Any) -> TextToImage:
        common = {"prompt": "a fox", "negative_prompt": "", "seeds": [1], "steps": 2, "guidance_scale": 1.0}
        return TextToImage(task_id="t", output_dir=str(tmp_path), **{"width": 32, "height": 24, **common, **fields})

    return task


class TestWhereTheyAreChosen:
    def test_before_a_second_pass(self, sd: DiffusersImage, use: UpscalerUse, asked: Callable, tmp_path: Path) -> None:
        listener = Listener()
        plain = Hires(width=64, height=48, steps=1, strength=0.3)
        done = sd.run(asked(hires=plain), listener)
        by_network = Hires(width=64, height=48, steps=1, strength=0.3, upscaler=use.key, network=use)
        again = sd.run(asked(hires=by_network), listener)
        assert done.files[0].sha256 != again.files[0].sha256 and (again.files[0].width, again.files[0].height) == (
            64,
            48,
        )
        told = again.files[0].recipe
        assert told["hires"]["upscaler"] == "4x-tiny" and told["hires"]["upscaler_sha256"] == use.sha256
        assert "Hires upscaler: 4x-tiny" in infotext(told)
        assert "Hires upscaler: Lanczos" in infotext(done.files[0].recipe)

    def test_a_picture_that_is_only_enlarged(
        self, sd: DiffusersImage, network: Any, use: UpscalerUse, stored: InputImage, asked: Callable, tmp_path: Path
    ) -> None:
        start = ImageStart(image=stored, strength=0.0, upscaler=use)
        done = sd.run(asked(start=start, width=64, height=48), Listener())
        assert done.files[0].recipe["start"]["upscaler"] == "4x-tiny"
        with Image.open(stored.path) as image:
            whole = enlarged_once(image, network, nothing)
        expected = ImageOps.fit(whole, (64, 48), Image.Resampling.LANCZOS)
        with Image.open(tmp_path / "0.png") as made:
            assert np.array_equal(np.asarray(made), np.asarray(expected))

    def test_a_cancel_is_heard_between_tiles(
        self, sd: DiffusersImage, use: UpscalerUse, picture: Image.Image, asked: Callable, tmp_path: Path
    ) -> None:
        picture.resize((400, 32)).save(tmp_path / "long.png")
        start = ImageStart(image=InputImage(path=str(tmp_path / "long.png")), strength=0.0, upscaler=use)
        listener = Listener(tiles=2)
        with pytest.raises(RunCancelled):
            sd.run(asked(start=start, width=64, height=48), listener)
        assert listener.heard == 2

    def test_alone_without_a_model_that_draws(
        self, use: UpscalerUse, network: Any, stored: InputImage, asked: Callable, tmp_path: Path
    ) -> None:
        alone = load(Path(use.path), OPTIONS)
        assert isinstance(alone, Upscaler) and alone.weights_bytes == image_upscalers.held_bytes(network)
        target = tmp_path / "large.png"
        task = Enlarge(task_id="e", source=stored.path, target=str(target), width=50, height=50, crop=True)
        done = alone.run(task, Listener())
        assert (done.answer["width"], done.answer["height"]) == (50, 50)
        with Image.open(stored.path) as image, Image.open(target) as made:
            expected = ImageOps.fit(enlarged_once(image, network, nothing), (50, 50), Image.Resampling.LANCZOS)
            assert np.array_equal(np.asarray(made), np.asarray(expected))
        with pytest.raises(RunFailed, match="enlarges pictures"):
            alone.run(asked(), Listener())

    def test_other_models_and_damaged_files(self, sd: DiffusersImage, use: UpscalerUse, tmp_path: Path) -> None:
        with pytest.raises(RunFailed, match="no upscaler"):
            sd.run(Enlarge(task_id="e", source="", target="", width=8, height=8), Listener())
        tensors = {key: value for key, value in load_file(use.path).items() if not key.endswith("conv3.0.weight")}
        save_file(tensors, tmp_path / "cut.safetensors")
        with pytest.raises(LoadFailed, match="cannot be used"):
            load(tmp_path / "cut.safetensors", OPTIONS)
