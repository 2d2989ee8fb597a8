"""How the models of each family speak: the parsers for their tool calls and their reasoning, in vLLM's words.

`chat_presets.json` names them by family (transformers' `model_type`). A parser is used when the model's own template
has its mark: a small model of a family often was never taught tools, and a parser of reasoning that finds none may take
the whole answer for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

MAX_TEMPLATE_BYTES = 1024**2
PRESETS: dict[str, Any] = json.loads(Path(__file__).with_name("chat_presets.json").read_text())


@dataclass(frozen=True)
class Preset:
    """`images`: most pictures in one request, None for a model that sees none. `thinks`: whether it reasons when a
    request does not say; a template that has it off says `not enable_thinking`."""

    tool_parser: str | None = None
    reasoning_parser: str | None = None
    images: int | None = None
    thinks: bool = True


def preset_of(path: Path, family: str, *, sees: bool) -> Preset:
    """What is sensible for the model in this folder. Reads its template the first time."""
    file = next((found for name in TEMPLATES if (found := path / name).is_file()), None)
    return _preset(file, file.stat().st_mtime_ns if file else 0, family, sees)


TEMPLATES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")


@lru_cache(maxsize=256)
def _preset(file: Path | None, _changed: int, family: str, sees: bool) -> Preset:
    template = _template(file)
    known = PRESETS["families"].get(family, {})

    def marked(kind: str) -> str | None:
        parser = known.get(kind)
        return parser if parser and PRESETS["marks"].get(parser, "") in template else None

    images = known.get("images", 4) if sees else None
    tools, reasoning = (marked(kind) if template else None for kind in ("tool_parser", "reasoning_parser"))
    return Preset(tools, reasoning, images, "not enable_thinking" not in template)


def _template(file: Path | None) -> str:
    """The chat template's text; empty for a model without one."""
    if file is None or file.stat().st_size > 16 * MAX_TEMPLATE_BYTES:
        return ""
    text = file.read_text(errors="replace")
    if file.suffix == ".jinja":
        return text[:MAX_TEMPLATE_BYTES]
    try:
        found = json.loads(text).get("chat_template", "")
    except (ValueError, AttributeError):
        return ""
    if isinstance(found, list):
        found = "\n".join(str(one.get("template", "")) for one in found if isinstance(one, dict))
    return str(found)[:MAX_TEMPLATE_BYTES]
