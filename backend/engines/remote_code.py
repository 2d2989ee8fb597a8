"""Does a model's JSON ask a library to run code that comes with the model? Standard library only; nothing is executed.

Known ways (diffusers CVE-2026-44513, transformers CVE-2026-5241, vLLM CVE-2026-22807, NeMo CVE-2026-65178): `auto_map`
in any config, `trust_remote_code` written into one, `custom_pipeline`, classes from outside the libraries in
`model_index.json`, and hydra's `_target_`. Used by the engines before they load, by the download before it keeps a
file, and by the server before it enters a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

LIBRARIES = {"diffusers", "transformers", "stable_diffusion"}
"""Where a pipeline's component may come from; "stable_diffusion" is diffusers' own folder of the safety checker."""

CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipeline", "custom_pipelines", "_target_")
CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".ipynb"})

VOCABULARIES = frozenset(
    {"tokenizer.json", "vocab.json", "added_tokens.json", "merges.json", "special_tokens_map.json"}
)
"""Their keys are words of a language, not settings."""


@dataclass(frozen=True)
class Asked:
    """What a file asks for: in English, and as the sentence that it is."""

    text: str
    sentence: str
    params: dict[str, str] = field(default_factory=dict)


def code_in(name: str, content: object) -> Asked | None:
    """Why the JSON file `name` may not be used; None when it asks for no code."""
    file = PurePosixPath(name).name
    if file in VOCABULARIES or file.endswith(".index.json"):
        return None
    for key, value in _entries(content):
        if key in CODE_KEYS and value not in (None, False, {}, []):
            return Asked(f"{name} asks for code of its own ({key})", "unsafe_code_key", {"file": name, "key": key})
    if file == "model_index.json":
        return _code_in_index(content)
    return None


def _code_in_index(index: object) -> Asked | None:
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        return Asked("model_index.json names no pipeline class of diffusers", "unsafe_pipeline")
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        from_library = len(value) == 2 and (value[0] is None or value[0] in LIBRARIES)
        if not from_library or not (value[1] is None or isinstance(value[1], str)):
            text = f"model_index.json takes {name!r} from outside diffusers and transformers"
            return Asked(text, "unsafe_component", {"name": name})
    return None


def _entries(content: object) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    waiting = [content]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            yield from here.items()
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
