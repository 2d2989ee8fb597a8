"""Which files are chosen, told from listings alone."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from engines.engine import RunFailed
from engines.hub_files import Choice, RepoFile, choose, kind_of

INDEX = {
    "_class_name": "StableDiffusionXLPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
}
UNET, TEXT = "unet/diffusion_pytorch_model", "text_encoder/model"


def listing(*paths: str) -> list[RepoFile]:
    return [RepoFile(path, 1000, hashlib.sha256(path.encode()).hexdigest()) for path in paths]


def chosen(paths: tuple[str, ...] | list[str], configs: dict[str, Any], **given: Any) -> set[str]:
    choice: Choice = choose(listing(*paths), configs, **given)
    names = {file.path for file in choice.chosen}
    assert names | set(choice.refused) == set(paths) and not names & set(choice.refused)
    return names


class TestDiffusers:
    def of(self, *paths: str, **given: Any) -> set[str]:
        paths = ("model_index.json", "unet/config.json", "scheduler/scheduler_config.json", *paths)
        found = chosen(paths, {"model_index.json": INDEX}, **given)
        return {path for path in found if path.endswith(".safetensors") or ".index." in path}

    def test_one_variant_for_all_components(self) -> None:
        both = [f"{name}{variant}.safetensors" for name in (UNET, TEXT) for variant in ("", ".fp16")]
        assert self.of(*both, prefer_half=True) == {f"{UNET}.fp16.safetensors", f"{TEXT}.fp16.safetensors"}
        assert self.of(*both) == {f"{UNET}.safetensors", f"{TEXT}.safetensors"}

    def test_half_only_where_all_components_have_it(self) -> None:
        paths = (f"{UNET}.safetensors", f"{UNET}.fp16.safetensors", f"{TEXT}.safetensors")
        assert self.of(*paths, prefer_half=True) == {f"{UNET}.safetensors", f"{TEXT}.safetensors"}

    def test_half_when_there_is_nothing_else(self) -> None:
        paths = (f"{UNET}.fp16.safetensors", f"{TEXT}.fp16.safetensors")
        assert self.of(*paths) == set(paths)

    def test_no_variant_in_common(self) -> None:
        with pytest.raises(RunFailed, match="fp16, plain"):
            self.of(f"{UNET}.fp16.safetensors", f"{TEXT}.safetensors")

    def test_shards_with_their_index_when_complete(self) -> None:
        shards = [f"{UNET}-0000{number}-of-00002.safetensors" for number in (1, 2)]
        index = f"{UNET}.safetensors.index.json"
        other = f"{UNET}.safetensors.index.fp16.json"
        text = f"{TEXT}.safetensors"
        assert self.of(*shards, index, other, text) == {*shards, index, text}
        whole = f"{UNET}.safetensors"
        assert self.of(shards[0], index, whole, text) == {whole, text}, "half a set of shards is none"

    @pytest.mark.parametrize(
        "names", [("{}.fp16-00001-of-00001.safetensors",), ("{}-00001-of-00001.fp16.safetensors",)]
    )
    def test_both_ways_to_name_shards_of_a_variant(self, names: tuple[str, ...]) -> None:
        shards = [name.format(UNET) for name in names]
        assert self.of(*shards, f"{TEXT}.fp16.safetensors", prefer_half=True) >= set(shards)

    def test_what_lies_beside_is_left(self) -> None:
        beside = ("sd_xl_base.safetensors", f"{UNET}.bin", f"{UNET}.non_ema.safetensors", "vae_1_0/model.safetensors",
                  "unet/model.onnx", "text_encoder/flax_model.msgpack", "comfy/x.safetensors")  # fmt: skip
        kept = {f"{UNET}.safetensors", f"{TEXT}.safetensors"}
        assert self.of(*kept, *beside) == kept

    def test_a_component_with_pickles_only(self) -> None:
        with pytest.raises(RunFailed, match="'text_encoder' has no safetensors"):
            self.of(f"{UNET}.safetensors", "text_encoder/pytorch_model.bin")


class TestOthers:
    def test_transformers(self) -> None:
        shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        texts = [
            "config.json",
            "tokenizer.json",
            "tokenizer.model",
            "chat_template.jinja",
            "model.safetensors.index.json",
        ]
        beside = ["consolidated.safetensors", "pytorch_model.bin", "model.fp32.safetensors", "onnx/model.onnx",
                  "original/params.json", "modeling.py", "tf_model.h5"]  # fmt: skip
        assert chosen([*shards, *texts, *beside], {"config.json": {}}) == {*shards, *texts}

    def test_sentence_transformers_bring_their_modules(self) -> None:
        modules = {"items": [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]}
        paths = ["config.json", "modules.json", "model.safetensors", "1_Pooling/config.json",
                 "2_Dense/model.safetensors", "3_Other/config.json"]  # fmt: skip
        assert chosen(paths, {"config.json": {}, "modules.json": modules}) == set(paths[:-1])

    def test_adapters_and_single_files(self) -> None:
        paths = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "README.md", "optimizer.pt"]
        assert chosen(paths, {}) == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
        assert chosen(["style.safetensors", "LICENSE.md", "preview.png"], {}) == {"style.safetensors", "LICENSE.md"}
        with pytest.raises(RunFailed, match="no model that Atelier knows"):
            chosen(["README.md"], {})

    def test_of_several_single_files_one_has_to_be_named(self) -> None:
        paths = ("a.safetensors", "b.safetensors", "README.md", "deep/c.safetensors", "d.ckpt")
        open_ = choose(listing(*paths), {})
        assert open_.is_open and [file.path for file in open_.single] == ["a.safetensors", "b.safetensors"]
        assert (open_.chosen, open_.refused) == ([], {})
        assert chosen(paths, {}, file="b.safetensors") == {"b.safetensors", "README.md"}
        for other in ("c.safetensors", "deep/c.safetensors", "d.ckpt", "README.md"):
            with pytest.raises(RunFailed, match="none of the files") as refused:
                choose(listing(*paths), {}, file=other)
            assert refused.value.code == "file_missing"

    def test_a_file_of_a_model_of_many_cannot_be_named(self) -> None:
        with pytest.raises(RunFailed, match="none of the files"):
            choose(listing("config.json", "model.safetensors"), {"config.json": {}}, file="model.safetensors")

    def test_kinds(self) -> None:
        assert kind_of(listing("canary.nemo", "README.md")) == "pickled"
        assert kind_of(listing("config.yaml", "segmentation/pytorch_model.bin")) == "pickled"
        assert kind_of(listing("config.json", "model.safetensors", "x.nemo")) == "transformers"

    def test_papers_may_be_named_as_they_like_but_stay_small(self) -> None:
        large = RepoFile("README.md", 5_000_000, "0" * 64)
        choice = choose([*listing("x.safetensors"), large], {})
        assert "README.md" in choice.refused
