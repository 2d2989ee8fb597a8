"""Group commit: calls that arrive while a transaction is being written share the next one.

A caller alone pays one fsync and no delay; a hundred callers pay one fsync together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batch(Generic[Item, Result]):
    """`commit(items)` answers one result or one exception for each item, in order; what it raises goes to all."""

    def __init__(self, commit: Callable[[list[Item]], Awaitable[list[Result | Exception]]], limit: int = 500) -> None:
        self._commit, self._limit = commit, limit
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            try:
                results = await self._commit([item for item, _ in taken])
            except Exception as error:  # loop edge: each waiting caller gets it, the next batch is tried on its own
                results = [error] * len(taken)
            for (_, future), result in zip(taken, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
