"""What is refused before a library opens it."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path

import pytest
from engines.diffusers_image import load
from engines.engine import LoadFailed
from engines.model_folder import check_model_folder
from engines.safetensors_file import read_header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

UNET = Path("unet") / "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_sd: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_sd, tmp_path / "model"))


class Bomb:
    def __reduce__(self):
        return (print, ("the pickle was opened",))


def refused(folder: Path) -> LoadFailed:
    with pytest.raises(LoadFailed) as caught:
        load(folder, {})
    return caught.value


def test_a_sound_folder_passes(folder: Path) -> None:
    assert check_model_folder(folder)["_class_name"] == "StableDiffusionPipeline"


def test_pickles_beside_safetensors_are_ignored(folder: Path) -> None:
    (folder / UNET).with_suffix(".bin").write_bytes(pickle.dumps(Bomb()))
    check_model_folder(folder)


def test_pickles_only(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / UNET).unlink()
    (folder / UNET).with_suffix(".bin").write_bytes(pickle.dumps(Bomb()))
    error = refused(folder)
    assert error.code == "unsafe_model" and "pickle" in str(error) and "safetensors" in error.hint
    assert "the pickle was opened" not in capsys.readouterr().out


def test_a_renamed_pickle(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / UNET).write_bytes(pickle.dumps(Bomb()) * 10)
    assert refused(folder).code == "model_damaged"
    assert "the pickle was opened" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pipeline.py", "unet/model.PY", "text_encoder/fast.so"])
def test_code_in_the_folder(folder: Path, name: str) -> None:
    (folder / name).write_text("raise SystemExit('ran')")
    assert refused(folder).code == "unsafe_model"


@pytest.mark.parametrize(
    "change",
    [
        {"unet": ["my_module", "MyUNet"]},
        {"unet": ["pipeline", "MyUNet"]},
        {"unet": ["diffusers", "UNet2DConditionModel", "more"]},
        {"_class_name": ["pipeline", "MyPipeline"]},
        {"_class_name": None},
    ],
)
def test_custom_classes_in_the_index(folder: Path, change: dict) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    assert refused(folder).code == "unsafe_model"


def test_a_class_that_is_no_pipeline(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "_class_name": "AutoencoderKL"}))
    assert refused(folder).code == "unknown_pipeline"


def test_auto_map_in_a_component(folder: Path) -> None:
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "evil.Model"}}))
    assert refused(folder).code == "unsafe_model"


def test_a_linked_folder(folder: Path) -> None:
    shutil.move(folder / "unet", folder.parent / "elsewhere")
    (folder / "unet").symlink_to(folder.parent / "elsewhere")
    assert refused(folder).code == "unsafe_model"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000])
def test_an_index_that_is_none(folder: Path, content: str) -> None:
    (folder / "model_index.json").write_text(content)
    assert refused(folder).code == "model_damaged"


def test_nothing_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing").code == "model_missing"
    assert refused(tmp_path).code == "model_incomplete"


@pytest.mark.parametrize(
    "change",
    [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:4], lambda data: b"\xff" * 8 + data[8:]],
)
def test_a_file_of_another_length(folder: Path, change) -> None:
    (folder / UNET).write_bytes(change((folder / UNET).read_bytes()))
    assert refused(folder).code == "model_damaged"


def tensor_file(path: Path, header: object, data: bytes) -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": 1},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"a": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}},
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        },
    ],
)
def test_headers_that_lie(tmp_path: Path, header: object) -> None:
    with pytest.raises(ValueError, match="."):
        read_header(tensor_file(tmp_path / "x.safetensors", header, bytes(8)))


def test_mutated_files_are_refused_or_load(tmp_path: Path) -> None:
    sound = tensor_file(
        tmp_path / "sound.safetensors",
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
        },
        bytes(32),
    ).read_bytes()
    path = tmp_path / "mutated.safetensors"

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(sound) - 1), st.integers(0, 255), st.integers(0, len(sound) - 1), st.integers(0, 255))
    def check(first: int, one: int, second: int, two: int) -> None:
        data = bytearray(sound)
        data[first], data[second] = one, two
        path.write_bytes(data)
        try:
            read_header(path)
        except ValueError:
            return
        try:
            load_file(path)
        except Exception as error:  # what we let through may still be refused by the library, in its own words
            assert type(error).__name__ in ("SafetensorError", "KeyError", "UnicodeDecodeError"), error

    check()
