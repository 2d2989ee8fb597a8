"""Reads a name out of what a chat model answered. It was asked for `{"name": "…"}` and nothing else; models answer with
code fences, prose around it, doubled or missing braces, thoughts first.

Each way of reading is tried in turn; the first name that can be one counts.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

MAX_LENGTH = 32
MAX_ANSWER = 20_000
# What a model copies out of the question, or says in place of a name.
_NO_NAMES = {"name", "nombre", "nom", "the name", "your name", "creature name", "string", "null", "none", "undefined",
             "unknown", "example", "n/a", "json"}  # fmt: skip

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|$)", re.DOTALL | re.IGNORECASE)
_KEYED = re.compile(r"""["'“”]?\bname\b["'“”]?\s*[:=]\s*["'“”]([^"“”\n{}]{1,80})""", re.IGNORECASE)
_UNQUOTED = re.compile(r"""["'“”]?\bname\b["'“”]?\s*[:=]\s*([\w’'-]+(?: [\w’'-]+)?)""", re.IGNORECASE)
_SAID = re.compile(
    r"""\b(?:name(?: is|d)?|call(?:ed)?(?: it)?|be)\b[\s:]*[*_"'“”«`]+([^*_"“”»`\n]{1,80})[*_"'“”»`]""", re.IGNORECASE
)
# What is, or was to become, an object or a block of code is not read as prose.
_OBJECT = re.compile(r"[{}]|```")
_MARKED = re.compile(r"""[*]{1,2}([^*\n]{1,40})[*]|[“«"]([^“”«»"\n]{1,40})[”»"]""")


def read_name(answer: str) -> tuple[str, str] | None:
    """The name and the way it was found (`json`, `keyed`, `said`, `alone`); None when there is none."""
    text = _THOUGHTS.sub("", answer[:MAX_ANSWER]).strip()
    for way, found in (
        ("json", _from_json(text)),
        ("keyed", _matches(text, _KEYED, _UNQUOTED)),
        ("said", _matches("" if _OBJECT.search(text) else text, _SAID, _MARKED)),
        ("alone", _alone(text)),
    ):
        for candidate in found:
            if name := _as_name(candidate):
                return name, way
    return None


def _from_json(text: str) -> Iterator[Any]:
    """Every object in the text that can be parsed from one of its braces on; doubled braces count as one."""
    decoder = json.JSONDecoder()
    for reading in (text, re.sub(r"\{\s*\{", "{", re.sub(r"\}\s*\}", "}", text))):
        for at in [found.start() for found in re.finditer(r"\{", reading)][:50]:
            try:
                value, _end = decoder.raw_decode(reading, at)
            except (ValueError, RecursionError):
                continue
            yield from _named(value)


def _named(value: Any, depth: int = 0) -> Iterator[Any]:
    """What stands under `name`, at the top or deeper."""
    if isinstance(value, dict) and depth < 5:
        for key, inner in value.items():
            if key.strip().lower() == "name" and isinstance(inner, str):
                yield inner
            else:
                yield from _named(inner, depth + 1)


def _matches(text: str, *patterns: re.Pattern[str]) -> Iterator[str]:
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield next(group for group in match.groups() if group is not None)


def _alone(text: str) -> Iterator[str]:
    """An answer that is nothing but a name."""
    bare = text.strip("*_ .!\"'\n“”«»")
    if len(bare.split()) <= 2 and not re.search(r"[{}:=`]", bare):
        yield bare


def _as_name(candidate: Any) -> str | None:
    """A candidate that can be a name: letters, with spaces, hyphens and apostrophes between them."""
    if not isinstance(candidate, str):
        return None
    name = " ".join(unicodedata.normalize("NFC", candidate).split()).strip("'’-.,;:!?<>[]()`*_\\/ ")
    if not 2 <= len(name) <= MAX_LENGTH or name.casefold() in _NO_NAMES:
        return None
    fine = all(unicodedata.category(sign)[0] in "LM" or sign.isdigit() or sign in " '’-." for sign in name)
    return name if fine and name[0].isalpha() else None
