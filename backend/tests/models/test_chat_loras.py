"""Which LoRAs fit a chat model, by the headers of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from atelier.models.chat_loras import ChatLoras, DoesNotFit, fitting
from atelier.tables import ModelRow
from chat_models import MATRIX, chat_lora
from engines.vllm_chat import command
from tests.models.weights import safetensors, write


def row(path: Path, key: str, kind: str = "lora", **more: Any) -> ModelRow:
    values = {"owner_id": "u1", "shared": False, "size_bytes": 1000, "base": None, "download_job": None} | more
    return ModelRow(id=key, key=key, type=kind, task="chat", path=str(path), **values)


@pytest.fixture
def base(tmp_path: Path) -> ModelRow:
    write(tmp_path / "base" / "model.safetensors", safetensors({f"{MATRIX}.weight": (64, 32)}, "BF16"))
    return row(tmp_path / "base", "base", "base_model")


class TestFitting:
    @pytest.mark.parametrize(("rank", "set_aside"), [(1, 8), (8, 8), (9, 16), (200, 256), (512, 512)])
    def test_the_rank_is_one_that_vllm_has(self, tmp_path: Path, base: ModelRow, rank: int, set_aside: int) -> None:
        found = fitting(row(chat_lora(tmp_path / "lora", rank=rank), "lora"), base)
        assert (found.name, found.rank) == ("lora", set_aside)

    def test_one_for_a_model_whose_layers_lie_elsewhere(self, tmp_path: Path, base: ModelRow) -> None:
        write(Path(base.path) / "model.safetensors", safetensors({f"language_model.{MATRIX}.weight": (64, 32)}, "F16"))
        assert fitting(row(chat_lora(tmp_path / "lora"), "lora"), base).rank == 8

    @pytest.mark.parametrize(
        ("made", "code"),
        [
            ({"rows": 48}, "lora.other_base"),
            ({"rank": 600}, "lora.rank"),
            ({"use_dora": True}, "lora.unusable"),
            ({"modules_to_save": ["lm_head"]}, "lora.unusable"),
            ({"bias": "all"}, "lora.unusable"),
            ({"peft_type": "IA3"}, "lora.unusable"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path: Path, base: ModelRow, made: dict[str, Any], code: str) -> None:
        with pytest.raises(DoesNotFit) as misfit:
            fitting(row(chat_lora(tmp_path / "lora", **made), "lora", base="somebody/else"), base)
        assert misfit.value.words.code == code

    def test_a_matrix_that_the_base_does_not_have(self, tmp_path: Path, base: ModelRow) -> None:
        write(Path(base.path) / "model.safetensors", safetensors({"model.layers.0.mlp.up_proj.weight": (64, 32)}))
        with pytest.raises(DoesNotFit):
            fitting(row(chat_lora(tmp_path / "lora"), "lora"), base)


class TestThoseThatExist:
    def test_a_stranger_s_is_nobody_else_s(self, tmp_path: Path, base: ModelRow) -> None:
        loras, path = ChatLoras(), chat_lora(tmp_path / "lora")
        loras.learn(
            [row(path, "mine"), row(path, "theirs", owner_id="u2"), row(path, "shared", owner_id="u2", shared=True)]
        )
        assert [one.name for one in loras.of(base, ["theirs", "shared", "mine", "mine", "gone"])] == ["shared", "mine"]

    def test_one_whose_files_are_gone_is_left_out(self, tmp_path: Path, base: ModelRow) -> None:
        loras = ChatLoras()
        loras.learn([row(tmp_path / "nowhere", "lora")])
        assert loras.of(base, ["lora"]) == ()


def test_vllm_is_told() -> None:
    options = {"openai_socket": "/s", "loras": json.dumps({f"l{at}": f"/a=b/{at}" for at in range(6)}), "lora_rank": 16}
    arguments = command(Path("/m"), options, on_gpu=True)
    assert arguments[arguments.index("--max-loras") + 1] == "4" and "--enable-lora" in arguments
    assert arguments[arguments.index("--max-lora-rank") + 1] == "16"
    assert json.loads(arguments[arguments.index("--lora-modules") + 6]) == {"name": "l5", "path": "/a=b/5"}
    assert "--enable-lora" not in command(Path("/m"), {"openai_socket": "/s"}, on_gpu=True)
