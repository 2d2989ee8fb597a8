"""Chat and embedding models for tests of the server: folders that look like real ones, run by the fake engine."""

from __future__ import annotations

from pathlib import Path

from serving import Server
from tests.models.weights import transformers_folder

# So small that it fits whatever else uses the machine's memory.
SIZES = {
    "max_position_embeddings": 4096, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512,
}  # fmt: skip


def add_chat_model(server: Server, folder: Path, key: str = "echo", **config: object) -> str:
    """A chat model `key`, entered into this server."""
    path = transformers_folder(folder / key, "Qwen3ForCausalLM", **{**SIZES, **config})
    return _entered(server, path, key)


def add_embedding_model(server: Server, folder: Path, key: str = "vectors") -> str:
    path = transformers_folder(folder / key, "BertModel", **SIZES)
    (path / "modules.json").write_text("[]")
    return _entered(server, path, key)


def _entered(server: Server, path: Path, key: str) -> str:
    answer = server.client.post("/api/models/import", json={"path": str(path), "key": key})
    assert answer.status_code in (200, 201), answer.text
    return key
