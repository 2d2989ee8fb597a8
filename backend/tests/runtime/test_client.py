"""The conversation with a worker that speaks nonsense, falls silent or hangs up. The other side is a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from atelier.runtime.client import FellSilent, NotThere, SpokeNonsense, WorkerClient
from engines import protocol

TASK = protocol.FakeTask(task_id="t", output_dir="/tmp")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
PROGRESS = b'{"type":"Progress","step":1,"total":2}\n'
DONE = b'{"type":"Done","files":[]}\n'


@asynccontextmanager
async def speaking(folder: Path, *said: bytes | float, silence: float = 0.3) -> AsyncIterator[WorkerClient]:
    """A client of a worker that says these bytes, pauses for these seconds, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for part in said:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
        except ConnectionError:
            pass
        finally:
            writer.close()

    path = folder / "w.sock"
    server = await asyncio.start_unix_server(answer, path)
    client = WorkerClient(path, silence_seconds=silence)
    try:
        yield client
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


async def run(client: WorkerClient) -> list[protocol.Update]:
    return [update async for update in client.run(TASK)]


async def test_updates_arrive_however_they_are_cut(folder: Path) -> None:
    text = PROGRESS * 3 + DONE
    pieces = [text[i : i + 7] for i in range(0, len(text), 7)]
    async with speaking(folder, OK, *pieces) as client:
        assert len(await run(client)) == 4


async def test_nothing_is_read_after_the_result(folder: Path) -> None:
    async with speaking(folder, OK + PROGRESS + DONE + b"nonsense\n") as client:
        assert isinstance((await run(client))[-1], protocol.Done)


@pytest.mark.parametrize(
    "said",
    [
        b"not json\n",
        b"[]\n",
        b"null\n",
        b"\n",
        b'{"type":"Unknown"}\n',
        b'{"type":"Progress"}\n',
        b'{"type":"Progress","step":"one","total":2}\n',
        b'{"type":"Done","files":[{}]}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
)
async def test_what_is_not_an_update(folder: Path, said: bytes) -> None:
    async with speaking(folder, OK + said) as client:
        with pytest.raises(SpokeNonsense):
            await run(client)


async def test_a_line_without_an_end_is_not_collected_for_ever(folder: Path) -> None:
    async with speaking(folder, OK, *[b"x" * 65536] * 200, 5.0, silence=10) as client:
        with pytest.raises(SpokeNonsense, match="longer than allowed"):
            await run(client)


async def test_silence_from_the_start(folder: Path) -> None:
    async with speaking(folder, 2.0) as client:
        with pytest.raises(FellSilent):
            await run(client)


async def test_silence_in_the_middle(folder: Path) -> None:
    async with speaking(folder, OK + PROGRESS, 2.0) as client:
        with pytest.raises(FellSilent):
            await run(client)


async def test_bytes_that_never_make_a_line_are_silence(folder: Path) -> None:
    drip: list[bytes | float] = [b" ", 0.1] * 20
    async with speaking(folder, OK, *drip) as client:
        with pytest.raises(FellSilent):
            await asyncio.wait_for(run(client), 1.5)


async def test_an_end_without_a_result(folder: Path) -> None:
    async with speaking(folder, OK + PROGRESS) as client:
        with pytest.raises(NotThere):
            await run(client)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"\x00\x01\x02\r\n\r\n", b"220 smtp ready\r\n\r\n"])
async def test_no_http_at_all(folder: Path, said: bytes) -> None:
    async with speaking(folder, said) as client:
        with pytest.raises(NotThere):
            await run(client)


async def test_nobody_listens(folder: Path) -> None:
    client = WorkerClient(folder / "none.sock", silence_seconds=1)
    with pytest.raises(NotThere):
        await run(client)
    with pytest.raises(NotThere):
        await client.health()
    await client.close()


async def test_a_refusal_is_a_result(folder: Path) -> None:
    body = b'{"code":"invalid_task","message":"no such verb"}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with speaking(folder, head + body) as client:
        refused = protocol.Failed(code="invalid_task", message="no such verb", sentence="refused")
        assert await run(client) == [refused]


async def test_busy_is_nonsense_because_the_pool_would_know(folder: Path) -> None:
    async with speaking(folder, b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n") as client:
        with pytest.raises(SpokeNonsense, match="409"):
            await run(client)


async def test_hanging_up_ends_the_reader_at_once(folder: Path) -> None:
    async with speaking(folder, OK + PROGRESS, 20.0, silence=30) as client:
        reading = asyncio.create_task(run(client))
        await asyncio.sleep(0.1)
        client.hang_up()
        with pytest.raises(NotThere):
            await asyncio.wait_for(reading, 1)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"phase":"dancing","pid":1,"engine":"x"}'])
async def test_health_that_is_none(folder: Path, body: bytes) -> None:
    async with speaking(folder, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as client:
        with pytest.raises(SpokeNonsense):
            await client.health()
