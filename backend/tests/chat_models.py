"""Chat and embedding models for tests of the server: folders that look like real ones, run by the fake engine."""

from __future__ import annotations

from pathlib import Path

from serving import Server
from tests.models.weights import safetensors, transformers_folder, write

# So small that it fits whatever else uses the machine's memory.
SIZES = {
    "max_position_embeddings": 4096, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512,
}  # fmt: skip

MATRIX = "model.layers.0.self_attn.q_proj"


def add_chat_model(server: Server, folder: Path, key: str = "echo", **config: object) -> str:
    """A chat model `key`, entered into this server."""
    path = transformers_folder(folder / key, "Qwen3ForCausalLM", **{**SIZES, **config})
    write(path / "model-00003-of-00003.safetensors", safetensors({f"{MATRIX}.weight": (64, 32)}, "BF16"))
    return _entered(server, path, key)


def chat_lora(folder: Path, *, rows: int = 64, rank: int = 4, **config: object) -> Path:
    """A LoRA for such a model, with so many rows in the one matrix that it changes."""
    place = f"base_model.model.{MATRIX}"
    shapes = {f"{place}.lora_A.weight": (rank, 32), f"{place}.lora_B.weight": (rows, rank)}
    write(folder / "adapter_model.safetensors", safetensors(shapes, "F32"))
    plain = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "base_model_name_or_path": "/somebody/echo"}
    write(folder / "adapter_config.json", {**plain, **config})
    return folder


def add_chat_lora(server: Server, folder: Path, key: str, **made: object) -> str:
    return _entered(server, chat_lora(folder / key, **made), key)  # type: ignore[arg-type]


def add_embedding_model(server: Server, folder: Path, key: str = "vectors") -> str:
    path = transformers_folder(folder / key, "BertModel", **SIZES)
    (path / "modules.json").write_text("[]")
    return _entered(server, path, key)


def _entered(server: Server, path: Path, key: str) -> str:
    answer = server.client.post("/api/models/import", json={"path": str(path), "key": key})
    assert answer.status_code in (200, 201), answer.text
    return key
