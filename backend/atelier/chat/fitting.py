"""How much of a conversation a model takes: the newest pictures, and with them as much of what was said as its context
holds. The oldest turns are left out where somebody wants that, the oldest pictures without being asked.

Tokens are counted by engines only. What an answer of theirs took says how many letters a token has here; the rest is
estimated by that, and an engine that still finds it too long is asked again with less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atelier.tables import MessageRow

TOKENS_PER_LETTER = 0.3
"""Of a conversation in which no answer has been counted yet: English has about 0.25, other languages more."""
PICTURE_TOKENS = 1200
"""Of a picture at the size at which it is sent."""
TURN_TOKENS = 8
MOST_FOR_ANSWER = 0.5
"""The share of the context that is kept free for the answer at most."""


Shown = Mapping[str, Sequence[str]]
"""Pictures to send, by the message that they are in; a message that is not here sends none."""


def newest_pictures(branch: Sequence[MessageRow], most: int) -> Shown:
    """The last `most` of the pictures. Where a model sees none, those of the last question all the same: it is refused
    with the reason, for without them it would be another question."""
    shown: dict[str, Sequence[str]] = {}
    if most == 0:
        return {row.id: row.pictures for row in [row for row in branch if row.role == "user"][-1:]}
    for row in reversed(branch):
        if row.pictures and most > 0:
            shown[row.id] = row.pictures[-most:]
            most -= len(shown[row.id])
    return shown


def pictures_left_out(branch: Sequence[MessageRow], shown: Shown) -> int:
    return sum(len(row.pictures) - len(shown.get(row.id, ())) for row in branch)


def newest(
    branch: Sequence[MessageRow], context: int, system: str, answer: int | None, shown: Shown
) -> Sequence[MessageRow]:
    """The part of `branch` that fits beside an answer of `answer` tokens (a quarter of the context where that is open).
    It begins with what a person says, and always has the last of that."""
    room = context - min(answer or context // 4, int(context * MOST_FOR_ANSWER))
    pace = _pace(branch)
    left = room - len(system) * pace - TURN_TOKENS
    for row in reversed(branch):
        left -= _letters(row) * pace + len(shown.get(row.id, ())) * PICTURE_TOKENS + TURN_TOKENS
        if left < 0:
            return shorter(branch, until=row) or _last_turn(branch)
    return branch


def shorter(branch: Sequence[MessageRow], until: MessageRow | None = None) -> Sequence[MessageRow] | None:
    """Without its oldest turns: those up to `until`, or else a quarter of them. None where one turn is left."""
    begins = [at for at, row in enumerate(branch) if row.role == "user"]
    if until is None:
        after = begins[max(1, len(begins) // 4) : max(1, len(begins) // 4) + 1]
    else:
        place = branch.index(until)
        after = [at for at in begins if at > place][:1]
    return branch[after[0] :] if after else None


def _last_turn(branch: Sequence[MessageRow]) -> Sequence[MessageRow]:
    begins = [at for at, row in enumerate(branch) if row.role == "user"]
    return branch[begins[-1] :] if begins else branch


def _pace(branch: Sequence[MessageRow]) -> float:
    """Tokens per letter of the answers on this branch."""
    counted = [row for row in branch if row.role == "assistant" and row.usage and _letters(row) > 0]
    letters = sum(_letters(row) + len(row.reasoning) for row in counted)
    tokens = sum((row.usage or {}).get("completion_tokens") or 0 for row in counted)
    return tokens / letters if letters >= 200 and tokens else TOKENS_PER_LETTER


def _letters(row: MessageRow) -> int:
    return len(row.content) + sum(len(call["name"]) + len(call["arguments"]) for call in row.tool_calls)
