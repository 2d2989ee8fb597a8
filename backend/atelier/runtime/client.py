"""The conversation with one worker: HTTP over its Unix socket.

Whatever goes wrong becomes one of three things, because the caller can only do three things about them:

    NotThere      nobody listens (yet, or any more), or it hung up before the end: the process is probably gone
    FellSilent    it is there and says nothing
    SpokeNonsense it says what no worker says: too long, not JSON, not an update, an end without a result
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import msgspec
from engines import protocol

TERMINAL = (
    protocol.Done,
    protocol.BatchDone,
    protocol.Failed,
    protocol.Cancelled,
    protocol.Parked,
    protocol.Awake,
)
REFUSED = (400, 404, 413, 422)


class ConversationEnded(Exception):
    """Root of the three."""


class NotThere(ConversationEnded):
    pass


class FellSilent(ConversationEnded):
    pass


class SpokeNonsense(ConversationEnded):
    pass


class WorkerClient:
    """One per worker. Requests may overlap (health and cancel during a run); runs may not."""

    def __init__(self, socket_path: Path, *, silence_seconds: float) -> None:
        self._path = str(socket_path)
        self._silence = silence_seconds
        self._session: aiohttp.ClientSession | None = None
        self._run: aiohttp.ClientResponse | None = None

    async def health(self, seconds: float = 5.0) -> protocol.Health:
        body = await self._small("GET", "/health", None, seconds)
        try:
            return protocol.health_decoder.decode(body)
        except msgspec.DecodeError as error:
            raise SpokeNonsense(f"health: {error}") from error

    async def listens(self, seconds: float) -> None:
        """Ask the OpenAI server behind this socket for its health, which has no body."""
        await self._small("GET", "/health", None, seconds)

    async def cancel(self, task_id: str, seconds: float) -> None:
        """Ask the run to end. Unknown tasks are fine: they ended already."""
        await self._small("POST", "/cancel", msgspec.json.encode(protocol.Cancel(task_id=task_id)), seconds)

    async def run(self, task: protocol.Task) -> AsyncGenerator[protocol.Update, None]:
        """Every update of the run, heartbeats too; ends after the terminal one. Closing it hangs up, which cancels."""
        try:
            async with asyncio.timeout(self._silence):
                response = await self._open().post("http://worker/run", data=msgspec.json.encode(task))
        except TimeoutError:
            raise FellSilent from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotThere(str(error)) from error
        self._run = response
        try:
            if response.status in REFUSED:
                yield await self._refusal(response)
                return
            if response.status != 200:
                raise SpokeNonsense(f"status {response.status}")
            async for update in self._updates(response):
                yield update
        finally:
            self._run = None
            response.close()

    def hang_up(self) -> None:
        """Close the connection of the run under way, if any: its reader gets `NotThere`."""
        if self._run is not None:
            self._run.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _updates(self, response: aiohttp.ClientResponse) -> AsyncGenerator[protocol.Update, None]:
        pending = bytearray()
        heard = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(max(0.0, heard + self._silence - time.monotonic())):
                    chunk = await response.content.readany()
            except TimeoutError:
                raise FellSilent from None
            except (aiohttp.ClientError, OSError) as error:
                raise NotThere(str(error)) from error
            if not chunk:
                raise NotThere("the stream ended without a result")
            pending += chunk
            *lines, rest = pending.split(b"\n")
            pending = bytearray(rest)
            if len(pending) > protocol.MAX_LINE_BYTES:
                raise SpokeNonsense("a line longer than allowed")
            for line in lines:
                update = _decode(line)
                heard = time.monotonic()
                yield update
                if isinstance(update, TERMINAL):
                    return

    async def _refusal(self, response: aiohttp.ClientResponse) -> protocol.Failed:
        """The engine does not take this task: a result of the run, not a fault of the worker."""
        words = (await response.content.read(4096)).decode(errors="replace")
        try:
            said = msgspec.json.decode(words)
            return protocol.Failed(code=str(said["code"]), message=str(said["message"]), sentence="refused")
        except (msgspec.DecodeError, KeyError, TypeError):
            return protocol.Failed(code="refused", message=words.strip() or f"status {response.status}")

    async def _small(self, method: str, path: str, body: bytes | None, seconds: float) -> bytes:
        try:
            async with (
                asyncio.timeout(seconds),
                self._open().request(method, f"http://worker{path}", data=body) as response,
            ):
                answer = await response.content.read(64 * 1024)
        except TimeoutError:
            raise FellSilent from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotThere(str(error)) from error
        if response.status != 200:
            raise SpokeNonsense(f"status {response.status} at {path}")
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._path, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


def _decode(line: bytes | bytearray) -> protocol.Update:
    if len(line) > protocol.MAX_LINE_BYTES:
        raise SpokeNonsense("a line longer than allowed")
    try:
        return protocol.update_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpokeNonsense(f"not an update: {error}") from error
