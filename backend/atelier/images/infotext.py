"""Reads A1111's infotext: the prompt, the negative prompt, and one line of `Name: value` at the end.

`engines.picture_files` writes it; every tool of this world reads and writes it.
"""

from __future__ import annotations

import json

FEWEST_PAIRS = 3
NEGATIVE = "Negative prompt:"


def parse(text: str) -> dict[str, str]:
    """`Prompt`, `Negative prompt` and every pair by its name; a size `512x768` also as `Size-1` and `Size-2`."""
    lines = text.strip().split("\n")
    pairs = _pairs(lines[-1])
    if pairs:
        lines.pop()
    start = next((at for at, line in enumerate(lines) if line.strip().startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:]).strip().removeprefix(NEGATIVE).strip()
    found = {"Prompt": "\n".join(lines[:start]).strip(), "Negative prompt": negative}
    for name, value in pairs:
        found[name] = _unquoted(value)
        wide, _, high = found[name].partition("x")
        if wide.isdigit() and high.isdigit():
            found[f"{name}-1"], found[f"{name}-2"] = wide, high
    return found


def _pairs(line: str) -> list[tuple[str, str]]:
    """The settings of a line; none when it is no line of settings but words."""
    parts, begun, quoted = [], 0, False
    for at, sign in enumerate(line):
        if sign == '"' and line[at - 1 : at] != "\\":
            quoted = not quoted
        elif sign == "," and not quoted:
            parts.append(line[begun:at])
            begun = at + 1
    parts.append(line[begun:])
    split = [part.partition(":") for part in parts if part.strip()]
    if len(split) < FEWEST_PAIRS or not all(colon and name.strip() for name, colon, _ in split):
        return []
    return [(name.strip(), value.strip()) for name, _, value in split]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value
