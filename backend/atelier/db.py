"""The database: one writer connection, a few readers. Only this module commits.

SQLite runs in WAL mode with `synchronous=FULL`: a commit that returned survives `kill -9` and power loss. Releases
3.7.0 to 3.51.2 can corrupt a WAL when two connections write or checkpoint at once; here exactly one connection ever
writes, readers are `query_only` and never checkpoint, and `storage.Storage` keeps a second server away.

`write()` is a transaction; what is handed to `after_commit` happens only when it committed, and is forgotten on
rollback. Events go out this way, so that nobody ever sees what might not be true.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

READERS = 4


class Database:
    """Owns the engines. `write()` is exclusive; `read()` runs beside it on a snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = self._engine(pool_size=1, begin="BEGIN IMMEDIATE", pragmas=("wal_autocheckpoint=1000",))
        self._reader = self._engine(pool_size=READERS, begin="BEGIN", pragmas=("query_only=ON", "wal_autocheckpoint=0"))
        self._turn = asyncio.Lock()

    def _engine(self, *, pool_size: int, begin: str, pragmas: tuple[str, ...]) -> AsyncEngine:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self._path}", poolclass=AsyncAdaptedQueuePool, pool_size=pool_size, max_overflow=0
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
            connection.isolation_level = None  # transactions are begun below, not guessed by the driver
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON", *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection) -> None:  # type: ignore[no-untyped-def]
            connection.exec_driver_sql(begin)

        return engine

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """One transaction on the writer connection: committed at the end, rolled back when the block raises."""
        async with self._turn:
            async with AsyncSession(self._writer, expire_on_commit=False) as session:
                session.info["after_commit"] = []
                async with session.begin():
                    yield session
                actions = session.info["after_commit"]
        for action in actions:
            action()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A consistent snapshot; writing through it is an error."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session:
            yield session

    async def close(self) -> None:
        # The last connection to close checkpoints: that has to be the writer.
        await self._reader.dispose()
        await self._writer.dispose()


def after_commit(session: AsyncSession, action: Callable[[], None]) -> None:
    """Run `action` once the session's transaction has been committed; never when it is rolled back."""
    session.info["after_commit"].append(action)
