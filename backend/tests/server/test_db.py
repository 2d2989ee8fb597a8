"""The database: durable unless said otherwise, one writer, effects only after the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from atelier.db import Database, after_commit
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

FULL, NORMAL = 2, 1


@pytest.fixture
async def database(tmp_path: Path):  # type: ignore[no-untyped-def]
    opened = Database(tmp_path / "test.db")
    async with opened.write() as session:
        await session.execute(text("CREATE TABLE things (name TEXT)"))
    yield opened
    await opened.close()


async def synchronous(database: Database, *, durable: bool) -> int:
    async with database.write(durable=durable) as session:
        return (await session.execute(text("PRAGMA synchronous"))).scalar_one()


async def count(database: Database) -> int:
    async with database.read() as session:
        return (await session.execute(text("SELECT count(*) FROM things"))).scalar_one()


class TestWrite:
    async def test_durable_unless_said_otherwise(self, database: Database) -> None:
        for durable in (True, False, True):
            assert await synchronous(database, durable=durable) == (FULL if durable else NORMAL)

    async def test_a_block_that_raises_leaves_nothing(self, database: Database) -> None:
        told: list[str] = []
        with pytest.raises(ValueError, match="no"):
            async with database.write() as session:
                await session.execute(text("INSERT INTO things VALUES ('a')"))
                after_commit(session, lambda: told.append("a"))
                raise ValueError("no")
        assert await count(database) == 0
        assert told == []

    async def test_effects_come_after_the_commit(self, database: Database, tmp_path: Path) -> None:
        seen: list[int] = []

        def look() -> None:
            with sqlite3.connect(tmp_path / "test.db") as other:
                seen.append(other.execute("SELECT count(*) FROM things").fetchone()[0])

        async with database.write() as session:
            await session.execute(text("INSERT INTO things VALUES ('a')"))
            after_commit(session, look)
            assert seen == []
        assert seen == [1]

    async def test_writers_take_turns(self, database: Database) -> None:
        async def add(number: int) -> None:
            async with database.write(durable=number % 2 == 0) as session:
                before = (await session.execute(text("SELECT count(*) FROM things"))).scalar_one()
                await asyncio.sleep(0.001)
                await session.execute(text("INSERT INTO things VALUES ('x')"))
                after = (await session.execute(text("SELECT count(*) FROM things"))).scalar_one()
                assert after == before + 1

        await asyncio.gather(*(add(number) for number in range(30)))
        assert await count(database) == 30

    async def test_another_program_that_writes_is_waited_for(self, database: Database, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.3, other.rollback)
        async with database.write() as session:
            await session.execute(text("INSERT INTO things VALUES ('late')"))
        other.close()
        assert await count(database) == 1

    async def test_a_cancelled_writer_harms_nobody(self, database: Database) -> None:
        async def add() -> None:
            async with database.write() as session:
                await session.execute(text("INSERT INTO things VALUES ('x')"))

        for pause in (0.0, 0.0005, 0.002):
            task = asyncio.create_task(add())
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        before = await count(database)
        await add()
        assert await count(database) == before + 1


class TestWriteDirectly:
    async def test_is_the_same_transaction(self, database: Database) -> None:
        for durable in (True, False, True):
            async with database.write_directly(durable=durable) as connection:
                assert connection.execute("PRAGMA synchronous").fetchone()[0] == (FULL if durable else NORMAL)
                connection.execute("INSERT INTO things VALUES ('a')")
            assert await synchronous(database, durable=not durable) == (NORMAL if durable else FULL)
        assert await count(database) == 3

    async def test_opens_the_connection_when_it_comes_first(self, database: Database, tmp_path: Path) -> None:
        first = Database(tmp_path / "test.db")
        async with first.write_directly() as connection:
            settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")]
        await first.close()
        assert settings == ["wal", 1]

    @pytest.mark.parametrize("durable", [True, False])
    async def test_a_block_that_raises_leaves_nothing(self, database: Database, durable: bool) -> None:
        with pytest.raises(ValueError, match="no"):
            async with database.write_directly(durable=durable) as connection:
                connection.execute("INSERT INTO things VALUES ('a')")
                raise ValueError("no")
        assert await count(database) == 0

    async def test_takes_turns_with_the_others(self, database: Database) -> None:
        async def add(number: int) -> None:
            if number % 3:
                async with database.write_directly(durable=number % 2 == 0) as connection:
                    await asyncio.sleep(0.001)
                    connection.execute("INSERT INTO things VALUES ('x')")
            else:
                async with database.write() as session:
                    await session.execute(text("INSERT INTO things VALUES ('x')"))

        await asyncio.gather(*(add(number) for number in range(30)))
        assert await count(database) == 30


class TestRead:
    async def test_reading_cannot_write(self, database: Database) -> None:
        with pytest.raises(OperationalError, match="readonly"):
            async with database.read() as session:
                await session.execute(text("INSERT INTO things VALUES ('a')"))
