"""LoRAs and embeddings on tiny real models: both layouts, weights, switching, eviction, parking, what does not fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_chat
import tiny_loras
import torch
from engines import image_speed
from engines.diffusers_image import DiffusersImage, load
from engines.engine import RunFailed
from engines.image_lora_slot import LEAST_RANK
from engines.picture_files import infotext
from engines.protocol import EmbeddingUse, File, LoraUse, TextToImage
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from torch._dynamo.utils import counters
from transformers import AutoModelForCausalLM

OPTIONS = {"threads": 1, "device": "cpu"}
WEIGHTS = "adapter_model.safetensors"


class Quiet:
    cancelled = False

    def report(self, progress: object) -> None:
        pass


class Studio:
    """An engine that draws one small picture and says the hash of its pixels."""

    file: File

    def __init__(self, engine: DiffusersImage, output: Path) -> None:
        self.engine, self._output = engine, output

    def draw(self, *loras: LoraUse, prompt: str = "a blue dragon", embeddings: list[EmbeddingUse] | None = None) -> str:
        task = TextToImage(
            task_id="t",
            output_dir=str(self._output),
            prompt=prompt,
            negative_prompt="",
            seeds=[7],
            steps=2,
            guidance_scale=3.0,
            width=32,
            height=32,
            preview_every=0,
            loras=list(loras),
            embeddings=embeddings or [],
        )
        self.file = self.engine.run(task, Quiet()).files[0]
        return hashlib.sha256(Image.open(self._output / self.file.path).tobytes()).hexdigest()

    def far_from(self, other: Studio) -> int:
        """Levels of 255 between the two pictures that were drawn last, at the pixel where they differ most."""
        both = (Image.open(each._output / each.file.path).convert("RGB") for each in (self, other))
        mine, theirs = (np.asarray(image, dtype=int) for image in both)
        return int(np.abs(mine - theirs).max())

    @property
    def names(self) -> list[str]:
        return [adapter.name for adapter in self.engine._loras._adapters.values()]


def use(file: Path, weight: float = 1.0, text_weight: float | None = None) -> LoraUse:
    return LoraUse(key=file.stem, path=str(file), weight=weight, text_weight=text_weight)


@pytest.fixture(scope="module")
def files(tiny_sd: Path, tiny_sdxl: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("loras")
    return {
        "sd": tiny_loras.build_lora(tiny_sd, folder / "sd.safetensors", text=True),
        "sd_kohya": tiny_loras.build_kohya(tiny_sd, folder / "sd_kohya.safetensors"),
        "sdxl": tiny_loras.build_lora(tiny_sdxl, folder / "sdxl.safetensors"),
        "sdxl_kohya": tiny_loras.build_kohya(tiny_sdxl, folder / "sdxl_kohya.safetensors"),
        "word": tiny_loras.build_embedding(folder / "fox.safetensors"),
        "wide_word": tiny_loras.build_embedding(folder / "wide.safetensors", wide=True, vectors=1),
    }


@pytest.fixture(scope="module")
def sd(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(load(tiny_sd, OPTIONS), tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(load(tiny_sdxl, OPTIONS), tmp_path_factory.mktemp("pictures"))


class TestLoras:
    @pytest.mark.parametrize("name", ["sd", "sd_kohya"])
    def test_it_changes_the_picture_and_leaves_no_trace(self, sd: Studio, files: dict[str, Path], name: str) -> None:
        bare = sd.draw()
        whole, half = sd.draw(use(files[name])), sd.draw(use(files[name], 0.5))
        assert len({bare, whole, half, sd.draw(use(files[name], 1.0, 0.0)), sd.draw(use(files[name], 0.0, 1.0))}) == 5
        assert sd.draw(use(files[name], 0.0)) == bare == sd.draw()
        assert sd.draw(use(files[name])) == whole

    @pytest.mark.parametrize("name", ["sdxl", "sdxl_kohya"])
    def test_sdxl(self, sdxl: Studio, files: dict[str, Path], name: str) -> None:
        bare = sdxl.draw()
        assert sdxl.draw(use(files[name])) != bare == sdxl.draw()

    @pytest.mark.parametrize("name", ["sd3", "flux_dev"])
    def test_transformers(self, tiny_model: Callable[[str], Path], files, tmp_path: Path, name: str) -> None:
        file = tiny_loras.build_lora(tiny_model(name), tmp_path / "it.safetensors", text=True)
        studio = Studio(load(tiny_model(name), OPTIONS), tmp_path)
        bare = studio.draw()
        assert len({bare, studio.draw(use(file)), studio.draw(use(file, 0.5)), studio.draw(use(file, 1.0, 0.0))}) == 4
        assert studio.draw(use(file, 0.0)) == bare == studio.draw()
        with pytest.raises(RunFailed, match=name.partition("_")[0]):
            studio.draw(use(files["sdxl"]))
        assert studio.draw() == bare and "notes" not in studio.file.recipe
        studio.draw(prompt="a (red:1.3) fox")
        assert studio.file.recipe["notes"] == ["prompt_syntax_ignored"]

    @pytest.mark.parametrize("name", ["sd", "sd3"])
    def test_a_folder_that_peft_saved(self, tiny_model: Callable[[str], Path], tmp_path: Path, name: str) -> None:
        """Alpha is twice the rank: the same tensors in diffusers' layout count half as much."""
        model, file = tiny_model(name), tiny_loras.build_peft(tiny_model(name), tmp_path / "folder")
        part = "transformer" if name == "sd3" else "unet"
        state = {key.replace("base_model.model.", f"{part}."): one for key, one in load_file(file).items()}
        save_file(state, tmp_path / "plain.safetensors")
        studio = Studio(load(model, OPTIONS), tmp_path)
        bare, by_peft = studio.draw(), studio.draw(use(file, 0.5))
        assert bare != by_peft == studio.draw(use(tmp_path / "plain.safetensors", 1.0))
        assert studio.draw() == bare

    def test_the_lora_that_vllm_is_tried_with_is_one_that_peft_saves(self, tmp_path: Path) -> None:
        """The environment of vLLM has no peft: `tests/chat_engines` takes a LoRA that `tiny_chat` wrote."""
        tiny_chat.make_lora(tmp_path / "ours")
        config = json.loads(tiny_chat.PEFT_CONFIG.read_text())
        base = AutoModelForCausalLM.from_pretrained(tiny_chat.LORE)
        lora = LoraConfig(r=config["r"], lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        get_peft_model(base, lora).save_pretrained(str(tmp_path / "theirs"))
        saved = json.loads((tmp_path / "theirs" / "adapter_config.json").read_text())
        saved |= {"target_modules": sorted(saved["target_modules"]), "base_model_name_or_path": "embedded/models/lore"}
        assert saved == config
        ours, theirs = (
            {name: (tensor.shape, tensor.dtype) for name, tensor in load_file(tmp_path / who / WEIGHTS).items()}
            for who in ("ours", "theirs")
        )
        assert ours == theirs

    def test_another_kind_of_adapter_is_refused(self, sd: Studio, tiny_sd: Path, tmp_path: Path) -> None:
        file = tiny_loras.build_peft(tiny_sd, tmp_path)
        config = json.loads((tmp_path / "adapter_config.json").read_text())
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
        bare = sd.draw()
        with pytest.raises(RunFailed) as caught:
            sd.draw(use(file))
        assert caught.value.code == "invalid_loras" and sd.draw() == bare

    @pytest.mark.parametrize("quantization", ["int8", "fp8"])
    def test_on_quantised_weights(self, tiny_sd: Path, files: dict[str, Path], tmp_path: Path, quantization) -> None:
        studio = Studio(load(tiny_sd, {**OPTIONS, "quantization": quantization}), tmp_path)
        bare, whole = studio.draw(), studio.draw(use(files["sd"]))
        assert len({bare, whole, studio.draw(use(files["sd"], 0.5))}) == 3
        assert studio.draw(use(files["sd"], 0.0)) == bare == studio.draw()
        assert studio.draw(use(files["sd"])) == whole

    def test_the_recipe_names_them(self, sd: Studio, files: dict[str, Path]) -> None:
        lora = LoraUse(key="mine", path=str(files["sd"]), weight=0.7, text_weight=0.2, sha256="abc" * 20)
        sd.draw(lora, prompt="a fox", embeddings=[EmbeddingUse(token="fox", path=str(files["word"]), sha256="9" * 64)])
        text = infotext(sd.file.recipe)
        assert text.startswith("a fox <lora:sd:0.7:0.2>\n")
        assert 'Lora hashes: "sd: abcabcabca", TI hashes: "fox: 9999999999"' in text

    def test_a_fresh_model_gives_the_same(self, sd: Studio, tiny_sd: Path, files, tmp_path: Path) -> None:
        fresh = Studio(load(tiny_sd, OPTIONS), tmp_path)
        assert fresh.draw(use(files["sd"])) == sd.draw(use(files["sd"]))

    def test_what_it_computes(self, sd: Studio, files: dict[str, Path]) -> None:
        """kohya's alpha over rank scales what the matrices say; with a weight of one half it is half of that."""
        from safetensors.torch import load_file

        sd.draw(use(files["sd_kohya"], 0.5))
        layer = sd.engine._pipe.unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
        state = load_file(files["sd_kohya"])
        key = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
        down, up = state[f"{key}.lora_down.weight"], state[f"{key}.lora_up.weight"]
        x = torch.randn(1, down.shape[1], generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = layer.base_layer(x) + 0.5 * (2.0 / 4) * x @ down.T @ up.T
            assert torch.allclose(layer(x), expected, atol=1e-5)

    def test_several_at_once_in_any_order(self, sd: Studio, files: dict[str, Path]) -> None:
        both = sd.draw(use(files["sd"], 0.7), use(files["sd_kohya"], 0.4))
        assert both not in (sd.draw(use(files["sd"], 0.7)), sd.draw(use(files["sd_kohya"], 0.4)))
        assert sd.draw(use(files["sd"], 0.7), use(files["sd_kohya"], 0.4)) == both

    def test_switching_reads_nothing_again(self, sd: Studio, files, monkeypatch: pytest.MonkeyPatch) -> None:
        sd.draw(use(files["sd"]))
        sd.draw(use(files["sd_kohya"]))
        monkeypatch.setattr(type(sd.engine._pipe), "load_lora_weights", None)
        sd.draw(use(files["sd"], 0.3))
        sd.draw(use(files["sd_kohya"]), use(files["sd"]))

    def test_the_longest_unused_leaves(self, tiny_sd: Path, files: dict[str, Path], tmp_path: Path) -> None:
        studio = Studio(load(tiny_sd, OPTIONS), tmp_path)
        bare, one = studio.draw(), studio.draw(use(files["sd"]))
        studio.engine._loras._kept_bytes = studio.engine._loras.bytes
        other = studio.draw(use(files["sd_kohya"]))
        assert studio.names == ["lora_2"]
        assert studio.draw() == bare
        assert studio.draw(use(files["sd"])) == one and studio.draw(use(files["sd_kohya"])) == other

    def test_parking(self, tiny_sd: Path, files: dict[str, Path], tmp_path: Path) -> None:
        studio = Studio(load(tiny_sd, OPTIONS), tmp_path)
        word = [EmbeddingUse(token="fox", path=str(files["word"]))]
        bare = studio.draw()
        before = studio.draw(use(files["sd"]), prompt="a fox", embeddings=word)
        studio.engine.park()
        studio.engine.wake()
        assert studio.draw() == bare
        assert studio.draw(use(files["sd"]), prompt="a fox", embeddings=word) == before

    @pytest.mark.parametrize("name", ["sdxl", "sdxl_kohya"])
    def test_one_for_another_family_is_refused(self, sd: Studio, files: dict[str, Path], name: str) -> None:
        bare, names = sd.draw(), sd.names
        with pytest.raises(RunFailed) as caught:
            sd.draw(use(files[name]))
        assert caught.value.code == "invalid_loras" and caught.value.params["lora"] == name
        assert ("sdxl_base_v1-0" in str(caught.value)) == name.endswith("kohya")
        assert sd.names == names and sd.draw() == bare

    def test_bad_files(self, sd: Studio, files: dict[str, Path], tmp_path: Path) -> None:
        pickle, cut, empty = (tmp_path / name for name in ("a.pt", "b.safetensors", "c.safetensors"))
        pickle.write_bytes(b"\x80\x04")
        cut.write_bytes(files["sd"].read_bytes()[:-7])
        save_file({"something": torch.zeros(3)}, empty)
        bare = sd.draw()
        for file, sentence in (
            (pickle, "lora_pickle"),
            (cut, "lora_damaged"),
            (tmp_path / "gone.safetensors", "lora_missing"),
            (empty, "lora_unfit_unknown"),
        ):
            with pytest.raises(RunFailed) as caught:
                sd.draw(use(file))
            assert caught.value.sentence == sentence and sd.draw() == bare
        with pytest.raises(RunFailed, match="from -20 to 20"):
            sd.draw(use(files["sd"], 21.0))


class TestCompiled:
    """In a compiled denoiser, whatever compiles it: what counts is how often it is asked to."""

    @pytest.fixture
    def compiled(self, tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
        torch._dynamo.reset()
        monkeypatch.setattr(image_speed, "COMPILED", {"backend": "eager"})
        monkeypatch.setattr(image_speed.shutil, "which", lambda name: name)
        yield Studio(load(tiny_sd, {**OPTIONS, "compile": True}), tmp_path)
        torch._dynamo.reset()

    def test_another_lora_compiles_nothing(
        self, compiled: Studio, sd: Studio, tiny_sd: Path, files: dict[str, Path], tmp_path: Path
    ) -> None:
        wide = tiny_loras.build_lora(tiny_sd, tmp_path / "wide.safetensors", rank=20, seed=3)
        broad = tiny_loras.build_lora(tiny_sd, tmp_path / "broad.safetensors", rank=LEAST_RANK, seed=4)
        both = (use(files["sd"], 0.7), use(files["sd_kohya"], 0.4, 0.2))
        bare, first = compiled.draw(), compiled.draw(use(files["sd"]))
        assert compiled.draw() == bare != first
        before = counters["stats"]["unique_graphs"]
        assert before > 0
        for uses in (
            (use(files["sd_kohya"]),),
            both,
            (use(wide, -0.5),),
            (),
            (use(files["sd"], 0.3),),
            (*both, use(wide)),
        ):
            sd.draw(*uses)
            compiled.draw(*uses)
            assert compiled.far_from(sd) <= 1, "the same picture as from adapters side by side"
        assert compiled.draw(use(files["sd"])) == first and compiled.draw() == bare
        assert counters["stats"]["unique_graphs"] == before
        compiled.draw(use(broad), use(files["sd"]))
        assert counters["stats"]["unique_graphs"] > before, "more ranks than there is room for"

    def test_it_is_parked_and_woken(self, compiled: Studio, files: dict[str, Path]) -> None:
        before = compiled.draw(use(files["sd"]))
        compiled.engine.park()
        compiled.engine.wake()
        assert compiled.draw(use(files["sd"])) == before


class TestEmbeddings:
    def test_it_changes_the_picture_and_leaves_no_trace(self, sd: Studio, files: dict[str, Path]) -> None:
        word = [EmbeddingUse(token="Fox", path=str(files["word"]))]
        bare = sd.draw(prompt="a fox, foxes")
        drawn = sd.draw(prompt="a fox, foxes", embeddings=word)
        assert drawn != bare
        assert sd.draw(prompt="a (fox:1.4), foxes", embeddings=word) not in (drawn, bare)
        assert sd.draw(prompt="a fox, foxes") == bare
        assert sd.draw(prompt="a fox, foxes", embeddings=word) == drawn
        other = [EmbeddingUse(token="dragon", path=str(files["word"])), *word]
        sd.draw(prompt="a fox, a dragon", embeddings=other)
        assert sd.draw(prompt="a fox, foxes", embeddings=word) == drawn

    def test_its_vectors_are_what_the_encoder_reads(self, sd: Studio, files: dict[str, Path]) -> None:
        from safetensors.torch import load_file

        sd.engine._embeddings.use(sd.engine._pipe, [EmbeddingUse(token="fox", path=str(files["word"]))])
        pipe = sd.engine._pipe
        words = pipe.maybe_convert_prompt(sd.engine._embeddings.spelled("a fox"), pipe.tokenizer)
        ids = pipe.tokenizer(words, add_special_tokens=False).input_ids
        vectors = pipe.text_encoder.get_input_embeddings().weight[ids[-2:]]
        assert torch.equal(vectors, load_file(files["word"])["emb_params"])

    def test_sdxl_takes_a_pair(self, sdxl: Studio, files: dict[str, Path]) -> None:
        word = [EmbeddingUse(token="<fox>", path=str(files["wide_word"]))]
        bare = sdxl.draw(prompt="a <fox>")
        assert sdxl.draw(prompt="a <fox>", embeddings=word) != bare == sdxl.draw(prompt="a <fox>")

    def test_one_for_another_family_is_refused(self, sd: Studio, sdxl: Studio, files, tmp_path: Path) -> None:
        broad = tiny_loras.build_embedding(tmp_path / "broad.safetensors", width=64)
        for studio, file in ((sd, files["wide_word"]), (sdxl, files["word"]), (sd, broad)):
            bare = studio.draw()
            with pytest.raises(RunFailed) as caught:
                studio.draw(embeddings=[EmbeddingUse(token="fox", path=str(file))])
            assert caught.value.sentence == "embedding_unfit" and studio.draw() == bare

    def test_a_file_of_something_else(self, sd: Studio, files: dict[str, Path]) -> None:
        with pytest.raises(RunFailed) as caught:
            sd.draw(embeddings=[EmbeddingUse(token="fox", path=str(files["sd"]))])
        assert caught.value.sentence == "embedding_damaged"
