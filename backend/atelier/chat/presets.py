"""Presets: system prompts with parameters and perhaps a model, by name."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from atelier.access.actor import Actor
from atelier.chat import conversation_store as store
from atelier.chat.conversation_schemas import PresetIn, PresetOut
from atelier.clock import new_id, now
from atelier.db import Database
from atelier.errors import Conflict, NotFound
from atelier.said import Said
from atelier.tables import ChatPresetRow

MOST = 200


class PresetNotFound(NotFound):
    code = "preset_not_found"


class ChatPresets:
    """Every call takes the actor: presets are their owner's alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, actor: Actor) -> list[PresetOut]:
        """By name."""
        async with self._database.read() as session:
            return [PresetOut.of(row) for row in await store.presets(session, actor)]

    async def add(self, actor: Actor, wanted: PresetIn) -> PresetOut:
        """Raises Conflict for a name that is taken, and for one preset too many."""
        async with self._database.read() as session:
            if len(await store.presets(session, actor)) >= MOST:
                words = Said(f"There can be {MOST} presets at most.", "preset.too_many", limit=MOST)
                raise Conflict(words, hint="Delete one that is no longer needed.")
        return await self._write(actor, wanted, None)

    async def change(self, actor: Actor, preset_id: str, wanted: PresetIn) -> PresetOut:
        return await self._write(actor, wanted, preset_id)

    async def drop(self, actor: Actor, preset_id: str) -> PresetOut:
        """As it was: adding the same again takes the deletion back."""
        async with self._database.write() as session:
            row = await self._find(session, actor, preset_id)
            await session.delete(row)
            return PresetOut.of(row)

    async def _write(self, actor: Actor, wanted: PresetIn, preset_id: str | None) -> PresetOut:
        try:
            async with self._database.write() as session:
                if preset_id is None:
                    row = ChatPresetRow(id=new_id("pre"), owner_id=actor.id, created_at=now())
                    session.add(row)
                else:
                    row = await self._find(session, actor, preset_id)
                row.name, row.system_prompt, row.model = wanted.name, wanted.system_prompt, wanted.model
                row.parameters = wanted.parameters.model_dump(exclude_none=True)
                await session.flush()
                return PresetOut.of(row)
        except IntegrityError as error:
            words = Said(f"There is a preset {wanted.name!r} already.", "preset.name_taken", name=wanted.name)
            raise Conflict(words, field="name", hint="Take another name, or change that preset.") from error

    async def _find(self, session, actor: Actor, preset_id: str) -> ChatPresetRow:  # type: ignore[no-untyped-def]
        if row := await store.find_preset(session, actor, preset_id):
            return row
        raise PresetNotFound(f"There is no preset {preset_id[:40]!r}.", hint="GET /api/chat/presets lists yours.")
