"""The formulas and what measurements make of them: monotone, sane next to known models, quick to learn."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from atelier.config import BACKEND
from atelier.models.anatomy import Anatomy, read_anatomy
from atelier.models.estimate import MIB, SPARE_TOKENS, TYPE_BYTES, Parts, Seen, Work, learned, parts, seconds
from hypothesis import given, settings
from hypothesis import strategies as st

GB = 10**9
SD15 = Anatomy("image", 1_066_000_000, 16, 256, False, 8, (320, 640, 1280, 1280), 2)
SDXL = Anatomy(
    "image", 3_470_000_000, 16, 256, True, 8, (320, 640, 1280), 2,
    linear=2_232_647_680, tile_side=1024, denoiser=2_567_463_684, other_part=694_659_840,
)  # fmt: skip
FLUX = Anatomy(
    "image", 16_870_000_000, 16, 256, True, 8, hidden=3072,
    linear=11_898_322_944, tile_side=1024, denoiser=11_901_408_320, other_part=4_762_310_656,
)  # fmt: skip
SVD = Anatomy("video", 2_254_000_000, 16, 256, True, 8, (320, 640, 1280, 1280), 2)
GIB = 1024**3
QWEN = Anatomy(
    "chat", 31_000_000_000, 16, hidden=2048, layers=48, kv_heads=4, head_dim=128, vocabulary=151_936, context=262_144
)
SEEN = st.builds(
    Seen, moving=st.integers(0, 20 * GB), peak=st.integers(0, 40 * GB), oom=st.sampled_from([False] * 5 + [True])
)


class TestFormulas:
    @pytest.mark.parametrize(
        ("anatomy", "work", "least", "most"),
        [
            (SD15, Work(512, 512), 2.8, 4.5),  # published: 3.2 to 4 GB in half precision
            (FLUX, Work(1024, 1024), 36, 38),
            (QWEN, Work(context=32_768), 62, 72),
        ],
    )
    def test_known_models_in_half_precision_on_a_gpu(
        self, anatomy: Anatomy, work: Work, least: float, most: float
    ) -> None:
        assert least * GB < parts(anatomy, work, kind="cuda", dtype="bfloat16").total < most * GB

    @pytest.mark.parametrize(
        ("work", "dtype", "published"),
        [
            (Work(1024, 1024), "bfloat16", 8.96),  # huggingface.co/datasets/sayakpaul/sample-datasets
            (Work(1024, 1024), "float32", 16.83),
            (Work(1024, 1024, batch=4), "float16", 21.7),  # huggingface.co/blog/simple_sdxl_optimizations
            (Work(1024, 1024, batch=4), "float32", 28.1),
        ],
    )
    def test_what_was_published_of_sdxl(self, work: Work, dtype: str, published: float) -> None:
        """PyTorch's peak, without the driver's context. float16 runs the decoder in float32, bfloat16 does not."""
        sized = parts(SDXL, work, kind="cuda", dtype=dtype)
        assert sized.weights + sized.activations == pytest.approx(published * GIB, rel=0.2)

    @pytest.mark.parametrize(
        ("anatomy", "work", "gigabytes"),
        [
            (SDXL, Work(1024, 1024, guided=False), 0.27 * 1.074),  # huggingface.co/datasets/diffusers/benchmarks
            (FLUX, Work(1024, 1024, guided=False), 0.46 * 1.074),
            (SD15, Work(512, 512), 0.137),  # the others: diffusers' classes on tensors without data, counted
            (SDXL, Work(1024, 1024), 0.331),
            (FLUX, Work(1024, 1024), 0.977),
            (SVD, Work(1024, 576, frames=25), 8.303),
        ],
    )
    def test_what_a_denoiser_takes(self, anatomy: Anatomy, work: Work, gigabytes: float) -> None:
        sized = parts(replace(anatomy, decoder_channels=0), work, kind="cuda", dtype="bfloat16")
        assert 0.7 * gigabytes < sized.activations / GB < 1.5 * gigabytes

    @pytest.mark.parametrize(
        ("anatomy", "card", "held", "fits"),
        [
            (SDXL, 12, {}, True),
            (SDXL, 8, {}, False),
            (SDXL, 8, {"offload": "model"}, True),
            (FLUX, 24, {}, False),
            (FLUX, 24, {"offload": "model", "quantization": "fp8"}, True),
            (FLUX, 8, {"offload": "model", "quantization": "fp8"}, False),
            (FLUX, 8, {"offload": "group"}, True),
        ],
    )
    def test_which_card_a_picture_of_1024_is_made_on(
        self, anatomy: Anatomy, card: int, held: dict[str, str], fits: bool
    ) -> None:
        sized = parts(anatomy, Work(1024, 1024), kind="cuda", dtype="bfloat16", **held)
        assert (learned(sized, ()).expected < 0.97 * card * GIB) == fits

    def test_a_decoder_that_works_piece_by_piece(self) -> None:
        def moving(work: Work, **held: str) -> int:
            return parts(SDXL, work, kind="cuda", dtype="bfloat16", **held).activations

        one, four, large = Work(1024, 1024), Work(1024, 1024, batch=4), Work(2048, 2048)
        assert moving(four, slicing="vae") == max(moving(one), moving(four, tiling="vae", slicing="vae"))
        assert moving(four) == 4 * moving(one) and moving(large, tiling="vae") < 0.5 * moving(large)
        assert moving(one, tiling="vae") == moving(one), "diffusers decodes what is no larger than a tile at once"

    def test_the_key_value_cache_of_a_token(self) -> None:
        """Qwen3-30B-A3B: 2 × 48 layers × 4 heads × 128 × 2 bytes = 96 KiB, and half of that in 8 bits."""
        for held, size in (({}, 96 * 1024), ({"kv_cache": "fp8"}, 48 * 1024)):
            one, two = (parts(QWEN, Work(context=n), kind="cuda", dtype="bfloat16", **held).cache for n in (1, 2))
            assert two - one == size
        assert one == (1 + SPARE_TOKENS) * size, "vLLM keeps a block back"

    def test_a_device_that_would_get_less_than_a_head_holds_a_whole_one(self) -> None:
        """Qwen3-30B-A3B has four."""
        four, eight = (
            parts(QWEN, Work(context=4096), kind="cuda", dtype="bfloat16", devices=devices) for devices in (4, 8)
        )
        assert four.cache == eight.cache and four.weights == 2 * eight.weights

    def test_8_bits_halve_what_is_no_embedding(self) -> None:
        model = replace(QWEN, linear=QWEN.parameters - 2 * QWEN.vocabulary * QWEN.hidden)
        full, half = (parts(model, Work(), kind="cuda", dtype="bfloat16", quantization=q) for q in ("none", "fp8"))
        assert full.weights - half.weights == model.linear

    def test_weights_that_came_quantised_are_their_files(self) -> None:
        model = replace(QWEN, quantized_bytes=17 * GB)
        assert parts(model, Work(), kind="cuda", dtype="bfloat16", devices=2).weights == 17 * GB // 2

    def test_two_devices_share_weights_and_cache(self) -> None:
        alone = parts(QWEN, Work(context=4096), kind="cuda", dtype="bfloat16")
        both = parts(QWEN, Work(context=4096), kind="cuda", dtype="bfloat16", devices=2)
        assert both.weights * 2 == alone.weights and both.cache * 2 == alone.cache

    @given(
        anatomy=st.sampled_from([SD15, SDXL, FLUX, QWEN]),
        small=st.tuples(*[st.integers(0, 4096)] * 2, st.integers(1, 16), st.integers(0, 100_000)),
        more=st.tuples(*[st.integers(0, 1024)] * 2, st.integers(0, 8), st.integers(0, 50_000)),
        seen=st.lists(SEEN, max_size=30),
        dtype=st.sampled_from(sorted(TYPE_BYTES)),
        devices=st.integers(1, 8),
        kv_cache=st.sampled_from(["none", "fp8"]),
    )
    @settings(max_examples=400, deadline=None)
    def test_monotone_in_batch_size_and_context_whatever_was_measured(
        self,
        anatomy: Anatomy,
        small: tuple,
        more: tuple,
        seen: list[Seen],
        dtype: str,
        devices: int,
        kv_cache: str,
    ) -> None:
        def band(width: int, height: int, batch: int, context: int):
            work = Work(width, height, batch, context=context)
            sized = parts(anatomy, work, kind="cuda", dtype=dtype, devices=devices, kv_cache=kv_cache)
            return learned(sized, seen)

        less, larger = band(*small), band(*(a + b for a, b in zip(small, more, strict=True)))
        assert less.expected <= larger.expected * (1 + 1e-9) and less.high <= larger.high * (1 + 1e-9)
        for one in (less, larger):
            assert 0 <= one.low <= one.expected <= one.high


class TestLearning:
    BY_FORMULA = Parts(framework=400 * MIB, weights=2000 * MIB, activations=1000 * MIB)

    def runs(self, *peaks: float, moving: float = 1000) -> list[Seen]:
        return [Seen(int(moving * MIB), int(peak * MIB)) for peak in peaks]

    def test_nothing_measured_is_the_formula_with_a_wide_band(self) -> None:
        band = learned(self.BY_FORMULA, [])
        assert band.expected == self.BY_FORMULA.total
        assert band.high > 1.15 * band.expected and band.low < 0.85 * band.expected

    def test_measurements_win_and_the_band_closes(self) -> None:
        band = learned(self.BY_FORMULA, self.runs(*[2600.0] * 8))
        assert band.expected == pytest.approx(2600 * MIB, rel=0.05)
        assert band.high - band.low < 0.5 * (learned(self.BY_FORMULA, []).high - learned(self.BY_FORMULA, []).low)

    def test_one_size_teaches_another(self) -> None:
        seen = self.runs(2800, 2800, moving=500) + self.runs(3600, 3600, moving=1500)  # 2400 + 0.8 x
        twice = replace(self.BY_FORMULA, activations=3000 * MIB)
        assert learned(twice, seen).expected == pytest.approx(4800 * MIB, rel=0.12)

    def test_the_lease_is_for_the_high_runs(self) -> None:
        assert learned(self.BY_FORMULA, self.runs(*[3000.0] * 15, 3900, 3900, 3900)).high >= 3700 * MIB

    def test_out_of_memory_raises_what_is_as_large_or_larger(self) -> None:
        failed = [Seen(1000 * MIB, 4000 * MIB, oom=True)]
        assert learned(self.BY_FORMULA, failed).high >= 1.3 * 4000 * MIB
        smaller = replace(self.BY_FORMULA, activations=100 * MIB)
        assert learned(smaller, failed).high < 3000 * MIB


class TestSeconds:
    def test_unknown_until_something_ran(self) -> None:
        assert seconds(10, []) is None

    def test_the_middle_pace_and_a_band(self) -> None:
        band = seconds(20, [(10, 1.0), (10, 1.1), (10, 5.0)])
        assert band and band.expected == pytest.approx(2.2) and band.low < 2.2 < band.high


class TestAnatomy:
    def test_of_the_model_that_ships(self) -> None:
        folder = BACKEND / "embedded" / "models" / "creatures"
        found = read_anatomy(folder, task="image", parameters=6_000_000, stored_bits=16)
        assert (found.decoder_channels, found.latent_side, found.unet_channels) == (32, 16, (64, 128))
        assert 0.5 < found.denoiser / 6_000_000 < 0.8 and 0.2 < found.other_part / 6_000_000 < 0.5

    def test_latents_that_are_packed_before_a_transformer(self, tmp_path: Path) -> None:
        """FLUX: squares of 2 × 2 latents of 16 channels are tokens of 64. SD 3: the transformer's own patches."""
        for name, told, patch in (("flux", (1, 64), 2), ("sd3", (2, 16), 2)):
            for part, config in (
                ("transformer", {"patch_size": told[0], "in_channels": told[1]}),
                ("vae", {"latent_channels": 16, "block_out_channels": [128, 256, 512, 512], "sample_size": 1024}),
            ):
                (tmp_path / name / part).mkdir(parents=True)
                (tmp_path / name / part / "config.json").write_text(json.dumps(config))
            found = read_anatomy(tmp_path / name, task="image", parameters=1, stored_bits=16)
            assert (found.patch, found.tile_side) == (patch, 1024)

    def test_of_a_language_model_with_eyes(self, tmp_path: Path) -> None:
        text = {"num_hidden_layers": 48, "num_key_value_heads": 4, "head_dim": 128, "hidden_size": 2048}
        (tmp_path / "config.json").write_text(json.dumps({"vision_config": {}, "text_config": text}))
        found = read_anatomy(tmp_path, task="chat", parameters=10**9, stored_bits=16)
        assert (found.layers, found.kv_heads, found.head_dim) == (48, 4, 128)
        assert found.linear == 10**9 - 2 * 32000 * 2048

    def test_of_one_that_came_quantised_and_one_that_shares_its_embeddings(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(bytes(5000))
        for config, linear, size in (
            ({"quantization_config": {"quant_method": "fp8"}}, 0, 5000),
            ({"tie_word_embeddings": True, "vocab_size": 1000, "hidden_size": 100}, 10**6 - 10**5, 0),
        ):
            (tmp_path / "config.json").write_text(json.dumps(config))
            os.utime(tmp_path / "config.json", ns=(0, size))
            found = read_anatomy(tmp_path, task="chat", parameters=10**6, stored_bits=16)
            assert (found.linear, found.quantized_bytes) == (linear, size)

    @pytest.mark.parametrize(
        "nonsense", ["[]", "{", '{"block_out_channels": "x"}', '{"block_out_channels": [-1, 1e99]}']
    )
    def test_nonsense_is_no_reason_to_fail(self, tmp_path: Path, nonsense: str) -> None:
        (tmp_path / "vae").mkdir()
        (tmp_path / "vae" / "config.json").write_text(nonsense)
        assert read_anatomy(tmp_path, task="image", parameters=1, stored_bits=16).decoder_channels == 256
