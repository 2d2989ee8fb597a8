"""Prompts that were used, those that somebody wants to keep, and styles: named words that are added to others.

A used prompt is one row however often it is used. The history keeps the latest `KEPT` of each user; favourites stay
until their user drops them. Losing the last note of a use is no harm, so noting waits for no disk; those who ask at the
same time are noted together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from atelier.access.actor import Actor
from atelier.clock import new_id, now
from atelier.db import Database
from atelier.errors import BadRequest, Conflict, NotFound
from atelier.images import prompt_rows
from atelier.images.asking import Wanted
from atelier.images.prompt_schemas import PromptOut, StyleIn, StyleOut
from atelier.images.schemas import MOST_STYLED, GenerationIn
from atelier.jobs.batch import Batch
from atelier.said import Said
from atelier.tables import PromptRow

log = structlog.get_logger("atelier.prompts")

KEPT = 500
TIDY_EVERY = 50
SPOT = "{prompt}"
"""Where a style has it, the prompt is put there; else the style is put behind the prompt."""


class PromptNotFound(NotFound):
    code = "prompt_not_found"


class PromptBook:
    """Every call takes the actor: prompts are their owner's alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._note = Batch(self._note_all)
        self._noted = 0

    # ── used ──

    async def note(self, actor: Actor, prompt: str, negative_prompt: str) -> None:
        """Somebody asked for pictures with these words."""
        words = hashlib.sha256(f"{prompt}\0{negative_prompt}".encode()).hexdigest()
        row = {
            "id": new_id("prm"),
            "owner_id": actor.id,
            "kind": prompt_rows.USED,
            "name": words,
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "favourite": False,
            "uses": 1,
            "used_at": now(),
        }
        try:
            await self._note(row)
        except SQLAlchemyError as error:  # the job is accepted already: its sender must not hear otherwise
            log.warning("prompts.not_noted", error=str(error))

    async def _note_all(self, rows: list[dict[str, Any]]) -> list[None | Exception]:
        async with self._database.write(durable=False) as session:
            for row in rows:
                await prompt_rows.note(session, row, row["used_at"])
                self._noted += 1
                if self._noted % TIDY_EVERY == 0:
                    await prompt_rows.forget(session, row["owner_id"], KEPT)
        return [None] * len(rows)

    async def used(self, actor: Actor, words: str | None, favourite: bool | None, limit: int) -> list[PromptOut]:
        async with self._database.read() as session:
            rows = await prompt_rows.page(
                session, actor, prompt_rows.USED, words=words, favourite=favourite, limit=limit
            )
        return [PromptOut.of(row) for row in rows]

    async def favour(self, actor: Actor, prompt_id: str, favourite: bool) -> PromptOut:
        async with self._database.write() as session:
            row = await self._find(session, actor, prompt_rows.USED, prompt_id)
            row.favourite = favourite
            return PromptOut.of(row)

    async def drop(self, actor: Actor, prompt_id: str) -> None:
        async with self._database.write() as session:
            await session.delete(await self._find(session, actor, prompt_rows.USED, prompt_id))

    async def clear(self, actor: Actor) -> None:
        """Forget the history; favourites stay."""
        async with self._database.write() as session:
            await prompt_rows.forget(session, actor.id, 0)

    # ── styles ──

    async def styles(self, actor: Actor) -> list[StyleOut]:
        async with self._database.read() as session:
            rows = await prompt_rows.page(session, actor, prompt_rows.STYLE, words=None, favourite=None, limit=1000)
        return [StyleOut.of(row) for row in rows]

    async def add_style(self, actor: Actor, wanted: StyleIn) -> StyleOut:
        """Raises Conflict for a name that is taken."""
        row = PromptRow(id=new_id("sty"), owner_id=actor.id, kind=prompt_rows.STYLE, uses=0, used_at=now())
        return await self._write_style(row, wanted, new=True)

    async def change_style(self, actor: Actor, style_id: str, wanted: StyleIn) -> StyleOut:
        async with self._database.read() as session:
            row = await self._find(session, actor, prompt_rows.STYLE, style_id)
        return await self._write_style(row, wanted, new=False)

    async def drop_style(self, actor: Actor, style_id: str) -> None:
        async with self._database.write() as session:
            await session.delete(await self._find(session, actor, prompt_rows.STYLE, style_id))

    async def _write_style(self, row: PromptRow, wanted: StyleIn, *, new: bool) -> StyleOut:
        try:
            async with self._database.write() as session:
                kept = row if new else await session.merge(row)
                kept.name, kept.prompt, kept.negative_prompt = wanted.name, wanted.prompt, wanted.negative_prompt
                if new:
                    session.add(kept)
                await session.flush()
                return StyleOut.of(kept)
        except IntegrityError as error:
            words = Said(f"There is a style {wanted.name!r} already.", "style.name_taken", name=wanted.name)
            raise Conflict(words, field="name", hint="Take another name, or change that style.") from error

    async def applied(self, actor: Actor, wanted: Wanted) -> Wanted:
        """The request with its styles in its words. Raises BadRequest for a name that does not exist."""
        if not isinstance(wanted, GenerationIn) or not wanted.styles:
            return wanted
        prompt, negative = await self.styled(actor, wanted.styles, wanted.prompt, wanted.negative_prompt)
        return wanted.model_copy(update={"prompt": prompt, "negative_prompt": negative})

    async def styled(self, actor: Actor, names: Sequence[str], prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The prompts with these styles added, in their order. Raises BadRequest for a name that does not exist, and
        where they come to too many words."""
        if not names:
            return prompt, negative_prompt
        async with self._database.read() as session:
            styles = await prompt_rows.styles_named(session, actor, set(names))
        for name in names:
            if name not in styles:
                words = Said(f"There is no style {name[:80]!r}.", "style.unknown", name=name[:80])
                raise BadRequest(words, field="styles", hint="GET /api/styles lists yours.")
            prompt, negative_prompt = with_style(styles[name], prompt, negative_prompt)
        return prompt, negative_prompt

    async def _find(self, session, actor: Actor, kind: str, prompt_id: str) -> PromptRow:  # type: ignore[no-untyped-def]
        if row := await prompt_rows.find(session, actor, kind, prompt_id):
            return row
        if kind == prompt_rows.STYLE:
            words = Said(f"There is no style {prompt_id[:40]!r}.", "style.none_such", style=prompt_id[:40])
            raise PromptNotFound(words, hint="GET /api/styles lists yours.")
        words = Said(f"There is no prompt {prompt_id[:40]!r}.", "prompt.none_such", prompt=prompt_id[:40])
        raise PromptNotFound(words, hint="GET /api/prompts lists yours.")


def with_style(style: PromptRow | StyleOut, prompt: str, negative_prompt: str) -> tuple[str, str]:
    """The prompts with its words. Raises BadRequest where they come to too many."""
    prompt, negative_prompt = merged(prompt, style.prompt), merged(negative_prompt, style.negative_prompt)
    if max(len(prompt), len(negative_prompt)) > MOST_STYLED:
        text = f"With these styles the prompt has more than {MOST_STYLED} characters."
        words = Said(text, "style.too_long", most=MOST_STYLED)
        raise BadRequest(words, field="styles", hint="Leave some out, or shorten them.")
    return prompt, negative_prompt


def merged(prompt: str, style: str) -> str:
    """A style's words and a prompt's, as A1111 puts them together."""
    style = style.strip()
    if SPOT in style:
        return style.replace(SPOT, prompt)
    return ", ".join(part for part in (prompt.strip(), style) if part)
