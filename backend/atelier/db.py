"""The database: one writer connection, a few readers. Only this module commits.

SQLite runs in WAL mode with `synchronous=FULL`: a commit that returned survives `kill -9` and power loss. Releases
3.7.0 to 3.51.2 can corrupt a WAL when two connections write or checkpoint at once; here exactly one connection ever
writes, readers are `query_only` and never checkpoint, and `storage.Storage` keeps a second server away.

A commit waits for the disk and a reader may have much to look through: both happen on the connection's thread. All else
takes microseconds, far less than the way to a thread and back, and is done at once.

`write()` is a transaction; what is handed to `after_commit` happens only when it committed, and is forgotten on
rollback. Events go out this way, so that nobody ever sees what might not be true.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

READERS = 4
BUSY_SECONDS = 5.0
BUSY_PAUSE = 0.02
CHECKPOINT_PAGES = 1000


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# How values look in the file; what the engines use, for statements that go past them.
_JSON = {"json_serializer": _to_json, "json_deserializer": msgspec.json.decode}
DIALECT = SQLiteDialect_aiosqlite(**_JSON)


class Database:
    """Owns the engines. `write()` is exclusive; `read()` runs beside it on a snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing: _WriterConnection | None = None
        self._writer = self._engine(
            self._open_writer,
            pool_size=1,
            begin="BEGIN IMMEDIATE",
            pragmas=("busy_timeout=0",),
        )
        self._reader = self._engine(
            lambda: _ReaderConnection(self._path),
            pool_size=READERS,
            begin="BEGIN",
            pragmas=(f"busy_timeout={BUSY_SECONDS * 1000:.0f}", "query_only=ON", "wal_autocheckpoint=0"),
        )
        self._writers = {durable: self._writer.execution_options(durable=durable) for durable in (True, False)}
        self._turn = asyncio.Lock()

    def _open_writer(self) -> _WriterConnection:
        self._writing = _WriterConnection(self._path)
        return self._writing

    def _engine(
        self, opened: Callable[[], _Connection], *, pool_size: int, begin: str, pragmas: tuple[str, ...]
    ) -> AsyncEngine:
        engine = create_async_engine(
            "sqlite+aiosqlite://",
            async_creator=opened,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool_size,
            max_overflow=0,
            **_JSON,
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _connect(connection, _record) -> None:  # type: ignore[no-untyped-def]
            connection.isolation_level = None  # transactions are begun below, not guessed by the driver
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000", *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection) -> None:  # type: ignore[no-untyped-def]
            if "durable" in (options := connection.get_execution_options()):
                self._writing.prepare(durable=options["durable"], checkpoint=True)
            connection.exec_driver_sql(begin)

        return engine

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[AsyncSession]:
        """One transaction on the writer connection: committed at the end, rolled back when the block raises.

        `durable=False` is for what may be forgotten when the power fails, because it would only be done again: claims,
        heartbeats. It survives `kill -9` all the same, does not wait for the disk, and is synced with the next commit
        that is durable.
        """
        async with self._turn:
            async with AsyncSession(self._writers[durable], expire_on_commit=False) as session:
                session.info["after_commit"] = []
                async with session.begin():
                    yield session
                actions = session.info["after_commit"]
        for action in actions:
            action()

    @asynccontextmanager
    async def write_directly(self, *, durable: bool = True) -> AsyncIterator[sqlite3.Connection]:
        """The same transaction as `write()`, on the bare connection, for the few statements that every job passes
        through: SQLAlchemy alone takes ten times longer than these. What is not durable is committed at once, without
        a checkpoint; the next commit that waits for the disk makes up for it."""
        async with self._turn:
            if self._writing is None:
                async with self._writer.connect():
                    """The first to write opens the connection, with its settings."""
            async with self._writing.transaction(durable) as connection:
                yield connection

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


class _Connection(aiosqlite.Connection):
    """A connection that uses its thread only for what can take long: see `_takes_long`. (aiosqlite gives every call to
    the thread, four for one SELECT, and each is two switches between threads.)"""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: sqlite3.connect(path, check_same_thread=False), iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy does: a connection that nobody closed does not keep the process

    def _takes_long(self, name: str) -> bool:
        raise NotImplementedError

    async def _execute(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if not self._takes_long(function.__name__):
            return function(*arguments, **named)
        # Nobody uses the connection before the thread is through with it, not even one that was cancelled.
        working = asyncio.ensure_future(super()._execute(function, *arguments, **named))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working})
            raise


class _ReaderConnection(_Connection):
    def _takes_long(self, name: str) -> bool:
        return name in {"execute", "fetchall", "close"}


class _WriterConnection(_Connection):
    _prepared: tuple[bool, bool] | None = None

    def prepare(self, *, durable: bool, checkpoint: bool) -> None:
        """Whether the next commit waits for the disk, and whether it may move the log into the database file."""
        if self._prepared != (durable, checkpoint):
            self._conn.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if checkpoint else 0}")
            self._prepared = (durable, checkpoint)

    @asynccontextmanager
    async def transaction(self, durable: bool) -> AsyncIterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE to COMMIT, or to ROLLBACK when the block or the commit raises."""
        self.prepare(durable=durable, checkpoint=durable)
        await self._execute(self._conn.execute, "BEGIN IMMEDIATE")
        try:
            yield self._conn
            if durable:
                await self._execute(self._conn.commit)
            else:
                self._conn.commit()
        except BaseException:
            if self._conn.in_transaction:
                self._conn.rollback()
            raise

    def _takes_long(self, name: str) -> bool:
        return name == "commit"

    async def _execute(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Only BEGIN IMMEDIATE can find the database locked, by another program: it is tried again for a while."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return await super()._execute(function, *arguments, **named)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(BUSY_PAUSE)
