"""The syntax of A1111's prompts, read: weights, BREAK, words that come and go with the steps. Pure, no library.

    (x)            1.1 times the weight         [x]            1.1 times less
    (x:1.3)        1.3 times                    \\( \\) \\[ \\]     the character itself
    [a:b:0.5]      a, then b, from half of the steps on; a whole number counts steps
    [a:0.5] [a::0.5]    a from there on; a until there
    [a|b|c]        another one at every step
    BREAK          the rest begins a new part of 75 tokens
    a AND b :0.5   two prompts side by side, the second with half the weight (`side_by_side`)

What is not closed reaches to the end; what closes nothing is a character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STRONGER = 1.1
MAX_WEIGHT = 10.0
MAX_DEPTH = 50  # brackets within brackets; those further in are characters
BREAK = "BREAK"

_WEIGHT = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)")
_NUMBER = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_ESCAPED = frozenset("()[]\\:|")
_AND = re.compile(r"\bAND\b")
_OWN_WEIGHT = re.compile(r"\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*$")


def side_by_side(text: str) -> list[tuple[str, float]]:
    """The prompts that stand between `AND`s, with their weights (1 where none is written). As in A1111 the text is cut
    before anything else is read in it."""
    found = []
    for part in _AND.split(text):
        weight = _OWN_WEIGHT.search(part)
        if weight is None:
            found.append((part.strip(), 1.0))
        else:
            found.append((part[: weight.start()].strip(), max(-MAX_WEIGHT, min(MAX_WEIGHT, float(weight[1])))))
    return found if len(found) > 1 else [(text, 1.0)]


@dataclass(frozen=True)
class Weighted:
    parts: tuple[Node, ...]
    factor: float


@dataclass(frozen=True)
class Scheduled:
    """`when`: a fraction of the steps when `of_all`, else a number of them."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: float
    of_all: bool


@dataclass(frozen=True)
class Alternating:
    choices: tuple[tuple[Node, ...], ...]


Node = str | Weighted | Scheduled | Alternating


@dataclass(frozen=True)
class Segment:
    """Words of one weight; `text` is `BREAK` where a new part begins."""

    text: str
    weight: float = 1.0


class Prompt:
    """A prompt that was read. Nothing is an error: what is no syntax is words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _Reader(text).read()
        self.scheduled = any(map(_changes, self._parts))

    @property
    def plain(self) -> bool:
        """Whether it says the same without any syntax."""
        return not self.scheduled and self.segments(0, 1) in ((), (Segment(self.text),))

    @property
    def weighted(self) -> bool:
        """Whether words have weights of their own at any step."""
        return any(isinstance(part, Weighted) or _holds_weight(part) for part in self._parts)

    def segments(self, step: int, steps: int) -> tuple[Segment, ...]:
        """What the prompt says at `step` (from 0) of `steps`, neighbours of one weight joined."""
        joined: list[Segment] = []
        for segment in _flat(self._parts, 1.0, step, steps):
            if joined and joined[-1].weight == segment.weight and BREAK not in (joined[-1].text, segment.text):
                joined[-1] = Segment(joined[-1].text + segment.text, segment.weight)
            else:
                joined.append(segment)
        return tuple(joined)

    def words(self) -> str:
        """What it says in the end, for models that know no weights. A bracket without a number stays, since people
        write it in plain sentences too."""
        if self.plain:
            return self.text
        return re.sub(r"\s{2,}", " ", _said(self._parts)).strip()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> tuple[Node, ...]:
        parts, _ = self._sequence("", 0)
        return tuple(parts)

    def _sequence(self, stops: str, depth: int) -> tuple[list[Node], str]:
        """Up to one of `stops` or the end; which of them it was, "" for the end."""
        parts: list[Node] = []
        plain = ""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == "\\" and self._text[self._at + 1 : self._at + 2] in _ESCAPED:
                plain += self._text[self._at + 1]
                self._at += 2
                continue
            if letter in stops or (stops.startswith(")") and letter == ":" and _WEIGHT.match(self._text, self._at)):
                return [*parts, plain] if plain else parts, letter
            self._at += 1
            if letter in "([" and depth < MAX_DEPTH:
                parts += [plain] if plain else []
                plain = ""
                parts.append(self._round(depth + 1) if letter == "(" else self._square(depth + 1))
            else:
                plain += letter
        return [*parts, plain] if plain else parts, ""

    def _round(self, depth: int) -> Weighted:
        parts, stop = self._sequence(")", depth)
        factor = STRONGER
        if stop == ":":
            weight = _WEIGHT.match(self._text, self._at)
            assert weight is not None
            factor = float(weight[1])
            self._at = weight.end()
        elif stop:
            self._at += 1
        return Weighted(tuple(parts), factor)

    def _square(self, depth: int) -> Node:
        """Up to "]": weaker, unless what stands between "|" or ":" makes it something else."""
        fields: list[tuple[Node, ...]] = []
        separators = ""
        while True:
            parts, stop = self._sequence("]:|", depth)
            fields.append(tuple(parts))
            self._at += bool(stop)
            if stop not in (":", "|"):
                break
            separators += stop
        if stop and "|" in separators:
            return Alternating(tuple(_rejoined(fields, separators, "|")))
        last = fields[-1][0] if len(fields[-1]) == 1 else None
        number = _NUMBER.fullmatch(last) if isinstance(last, str) else None
        if stop and number is not None and separators in (":", "::"):
            before = fields[0] if separators == "::" else ()
            return Scheduled(before, fields[-2], float(number[1]), "." in number[1])
        return Weighted(next(iter(_rejoined(fields, separators, ""))), 1 / STRONGER)


def _rejoined(fields: list[tuple[Node, ...]], separators: str, divider: str) -> list[tuple[Node, ...]]:
    """The fields divided by `divider` only; other separators are characters again."""
    made = [fields[0]]
    for separator, field in zip(separators, fields[1:], strict=True):
        if separator == divider:
            made.append(field)
        else:
            made[-1] = (*made[-1], separator, *field)
    return made


def _changes(node: Node) -> bool:
    if isinstance(node, Weighted):
        return any(map(_changes, node.parts))
    return not isinstance(node, str)


def _holds_weight(node: Node) -> bool:
    match node:
        case Weighted():
            return True
        case Scheduled():
            return any(map(_holds_weight, (*node.before, *node.after)))
        case Alternating():
            return any(_holds_weight(part) for choice in node.choices for part in choice)
    return False


def _flat(nodes: tuple[Node, ...], weight: float, step: int, steps: int) -> list[Segment]:
    found: list[Segment] = []
    for node in nodes:
        match node:
            case str():
                for index, text in enumerate(_BREAK.split(node)):
                    found += [Segment(BREAK)] if index else []
                    found += [Segment(text, max(-MAX_WEIGHT, min(MAX_WEIGHT, weight)))] if text else []
            case Weighted():
                found += _flat(node.parts, weight * node.factor, step, steps)
            case Scheduled():
                turn = int(node.when * steps) if node.of_all else int(node.when)
                found += _flat(node.before if step < turn else node.after, weight, step, steps)
            case Alternating():
                found += _flat(node.choices[step % len(node.choices)], weight, step, steps)
    return found


def _said(nodes: tuple[Node, ...]) -> str:
    said = ""
    for node in nodes:
        match node:
            case str():
                said += _BREAK.sub(" ", node)
            case Weighted():
                bare = {STRONGER: "({})", 1 / STRONGER: "[{}]"}.get(node.factor, "{}")
                said += bare.format(_said(node.parts))
            case Scheduled():
                said += _said(node.after)
            case Alternating():
                said += " ".join(_said(choice) for choice in node.choices)
    return said
