"""Load options of speed and memory: what the settings say of one model, and what quantised weights take."""

from __future__ import annotations

from pathlib import Path

import pytest
from atelier.config import BACKEND, BadSetting, read_settings
from atelier.models.anatomy import read_anatomy
from atelier.models.estimate import Work, parts
from atelier.models.schemas import LoadOptions

CREATURES = BACKEND / "embedded" / "models" / "creatures"


class TestSettings:
    def test_the_creature_services_model_has_its_variables_for_defaults(self) -> None:
        runtime = read_settings({}).runtime
        assert runtime.tuned_model == "stabilityai/sdxl-turbo"
        assert LoadOptions(**dict(runtime.tuned_options)) == LoadOptions(
            quantization="fp8", compile=True, attention="auto", vae_slicing=False, offload="none"
        )

    def test_each_can_be_changed(self) -> None:
        off = {"SDXL_USE_COMPILE": "0", "SDXL_USE_FLASH_ATTN": "0", "SDXL_USE_XFORMERS": "0"}
        more = {"SDXL_QUANTIZATION": "none", "SDXL_ENABLE_SLICING": "1", "SDXL_ENABLE_CPU_OFFLOAD": "1"}
        options = dict(read_settings({**off, **more, "SDXL_TURBO_MODEL": "mine"}).runtime.tuned_options)
        assert options == {
            "quantization": "none",
            "compile": False,
            "attention": "sdpa",
            "vae_slicing": True,
            "offload": "model",
        }

    def test_a_word_that_is_none_is_refused(self) -> None:
        with pytest.raises(BadSetting, match="SDXL_QUANTIZATION='int4' must be fp8 or fp4 or none"):
            read_settings({"SDXL_QUANTIZATION": "int4"})


class TestWeights:
    def weights(self, **held: str) -> int:
        anatomy = read_anatomy(CREATURES, task="image", parameters=11_000_000, stored_bits=32)
        return parts(anatomy, Work(256, 256), kind=held.pop("kind", "cpu"), dtype="float32", **held).weights

    def test_quantised_matrices_take_a_quarter_of_float32(self) -> None:
        saved = self.weights() - self.weights(quantization="int8")
        assert 4_700_000 < saved < 4_850_000  # measured: 15.94 MB become 11.17 MB

    def test_offloading_spares_a_gpu_and_not_the_machine(self) -> None:
        files = {file.parent.name: file.stat().st_size for file in CREATURES.glob("*/*.safetensors")}
        share = files["unet"] / sum(files.values())
        assert self.weights(kind="cuda", offload="model") == pytest.approx(share * self.weights(kind="cuda"), rel=0.01)
        assert self.weights(kind="cuda", offload="group") < 0.1 * self.weights(kind="cuda")
        assert self.weights(offload="model") == self.weights()

    def test_a_tier_stands_for_what_it_does(self) -> None:
        words = [
            LoadOptions(**given).weights
            for given in ({}, {"quality": "fast"}, {"quality": "fast", "quantization": "none"})
        ]
        assert words == ["none", "fp8", "none"]


def test_files_that_are_none_count_nothing(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"no header")
    assert read_anatomy(tmp_path, task="image", parameters=1, stored_bits=16).linear == 0
