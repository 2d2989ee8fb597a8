"""The live socket: snapshot, deltas, catching up, bad messages, slow clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from atelier.access.accounts import Accounts
from atelier.access.actor import Actor, Role
from atelier.access.gate import Gate
from atelier.access.limit import SignInLimit
from atelier.access.tokens import Tokens
from atelier.config import AccessSettings
from atelier.db import Database
from atelier.events import EventBus, JobProgress, JobRemoved
from atelier.live.frames import SnapshotFrame
from atelier.live.hub import QUEUE_FRAMES, LiveHub
from atelier.live.socket import LiveSocket
from atelier.live.wire import LiveProtocol
from atelier.shapes import HostOut
from serving import Server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

ADMIN = Actor("local", "You", Role.ADMIN)


def address(server: Server, query: str = "") -> str:
    return server.url.replace("http", "ws") + "/api/live" + query


async def frame(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def events_until(socket: ClientConnection, job_id: str, status: str) -> list[dict[str, Any]]:
    """All events until `job_id` has `status`."""
    seen: list[dict[str, Any]] = []
    while True:
        message = await frame(socket)
        assert message["type"] == "events"
        seen += [{**event, "seq": message["seq"]} for event in message["events"]]
        for event in message["events"]:
            if event["type"] == "job.changed" and event["job"]["id"] == job_id and event["job"]["status"] == status:
                return seen


class TestSocket:
    async def test_snapshot_then_deltas(self, server: Server) -> None:
        async with connect(address(server)) as socket:
            first = await frame(socket)
            assert first["type"] == "snapshot"
            assert {"epoch", "seq", "jobs", "workers", "environments", "devices", "host"} <= set(first)
            job_id = await asyncio.to_thread(server.generate, "live", num_outputs=2, steps=40)
            seen = await events_until(socket, job_id, "completed")
        mine = [event for event in seen if event.get("id") == job_id or event.get("job_id") == job_id]
        steps = [event["step"] for event in mine if event["type"] == "job.progress"]
        assert steps == sorted(steps)
        assert steps
        added = [event for event in mine if event["type"] == "images.added"]
        assert len(added) == 1
        assert len(added[0]["images"]) == 2
        ended = next(e for e in seen if e["type"] == "job.changed" and e["job"]["status"] == "completed")
        assert len(ended["job"]["images"]) == 2

    async def test_why_a_running_job_does_not_move_yet_is_said_at_once(self, own_server: Any) -> None:
        server = own_server()
        async with connect(address(server)) as socket:
            await frame(socket)
            job_id = await asyncio.to_thread(server.generate, "first of its model", steps=100)
            seen = await events_until(socket, job_id, "completed")
        states = [event["job"] for event in seen if event["type"] == "job.changed" and event["job"]["id"] == job_id]
        loading = [job for job in states if job["status"] == "running" and job["waiting"]]
        assert [job["waiting"]["reason"] for job in loading[:1]] == ["model"]
        later = states[states.index(loading[-1]) + 1 :]
        assert any(job["status"] == "running" and not job["waiting"] for job in later), "it does not stay"

    async def test_no_progress_after_the_end(self, server: Server) -> None:
        async with connect(address(server)) as socket:
            await frame(socket)
            job_id = await asyncio.to_thread(server.generate, "end", steps=30)
            await events_until(socket, job_id, "completed")
            try:
                async with asyncio.timeout(0.6):
                    while True:
                        for event in (await frame(socket))["events"]:
                            assert not (event["type"] == "job.progress" and event["id"] == job_id)
            except TimeoutError:
                pass

    async def test_a_reconnect_catches_up(self, server: Server) -> None:
        async with connect(address(server)) as socket:
            first = await frame(socket)
        job_id = await asyncio.to_thread(server.generate, "missed")
        await asyncio.to_thread(server.wait_for, job_id)
        await asyncio.sleep(0.2)
        async with connect(address(server, f"?epoch={first['epoch']}&since={first['seq']}")) as socket:
            resumed = await frame(socket)
            assert resumed["type"] == "resumed"
            seen = await events_until(socket, job_id, "completed")
        assert any(event["type"] == "images.added" and event["job_id"] == job_id for event in seen)

    @pytest.mark.parametrize(
        "query",
        ["?epoch=other&since=0", "?epoch=x&since=99999999"]
        + [f"?since={odd}" for odd in ("abc", "-1", "%C2%B2", "9" * 5000)],
    )
    async def test_what_cannot_be_caught_up_gets_a_snapshot(self, server: Server, query: str) -> None:
        async with connect(address(server, query)) as socket:
            assert (await frame(socket))["type"] == "snapshot"

    async def test_ping(self, server: Server) -> None:
        async with connect(address(server)) as socket:
            await frame(socket)
            await socket.send('{"type":"ping"}')
            while (answer := await frame(socket))["type"] == "events":
                pass
            assert answer["type"] == "pong"

    @pytest.mark.parametrize(
        ("message", "field"),
        [
            ("nonsense", "message"),
            ("[1]", "message"),
            ('{"type":"subscribe"}', "type"),
            ("{}", "type"),
            (b"\xff", "message"),
        ],
    )
    async def test_a_wrong_message_is_answered_and_the_socket_stays(
        self, server: Server, message: str | bytes, field: str
    ) -> None:
        async with connect(address(server)) as socket:
            await frame(socket)
            await socket.send(message)
            while (answer := await frame(socket))["type"] == "events":
                pass
            assert (answer["type"], answer["status"], answer["field"]) == ("error", 400, field)
            await socket.send('{"type":"ping"}')
            while (answer := await frame(socket))["type"] == "events":
                pass
            assert answer["type"] == "pong"

    async def test_a_huge_message_closes_only_that_socket(self, server: Server) -> None:
        async with connect(address(server)) as socket:
            await frame(socket)
            await socket.send("x" * 200_000)
            with pytest.raises(ConnectionClosed):
                while True:
                    await frame(socket)
        assert server.client.get("/health").status_code == 200

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil"])
    async def test_other_sites_may_not_listen(self, server: Server, origin: str) -> None:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(address(server), additional_headers={"Origin": origin}) as socket:
                await socket.recv()

    async def test_without_the_token_nobody_listens(self, own_server: Any) -> None:
        server = own_server(ATELIER_TOKEN="0123456789abcdef0")
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(address(server)) as socket:
                await socket.recv()
        headers = {"Authorization": "Bearer 0123456789abcdef0"}
        async with connect(address(server), additional_headers=headers) as socket:
            assert (await frame(socket))["type"] == "snapshot"


class TestHub:
    async def test_progress_is_replaced_by_later_progress(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        listener = hub.join(ADMIN)
        for step in range(10):
            event = JobProgress(id="j", attempt=1, progress=step / 10, step=step, total_steps=10)
            bus.publish(event, owner="local", key="progress:j")
        hub.flush()
        events = json.loads(await listener.take() or "")["events"]
        assert [event["step"] for event in events] == [9]

    async def test_events_of_others_are_not_seen(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        mine, other = hub.join(Actor("a", "", Role.USER)), hub.join(Actor("b", "", Role.USER))
        bus.publish(JobRemoved(id="secret"), owner="a")
        hub.flush()
        assert "secret" in (await mine.take() or "")
        assert not other.frames
        assert hub.missed(Actor("b", "", Role.USER), hub.epoch, 0) == []

    async def test_others_see_something_else(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        listeners = [hub.join(Actor("a", "", Role.USER)), hub.join(Actor("b", "", Role.USER)), hub.join(ADMIN)]
        bus.publish(JobRemoved(id="named"), owner="a", key="w")
        bus.publish(JobRemoved(id="nameless"), others_than="a", key="w:others")
        hub.flush()
        seen = [[event["id"] for event in json.loads(await one.take() or "")["events"]] for one in listeners]
        assert seen == [["named"], ["nameless"], ["named"]]

    async def test_a_listener_that_does_not_read_is_dropped(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        slow, fast = hub.join(ADMIN), hub.join(ADMIN)
        for number in range(QUEUE_FRAMES + 5):
            bus.publish(JobRemoved(id=str(number)))
            hub.flush()
            assert await fast.take() is not None
        assert slow.dropped
        assert await slow.take() is None
        assert not fast.dropped

    async def test_what_is_too_old_cannot_be_resumed(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        for number in range(5000):
            bus.publish(JobRemoved(id=str(number)))
        hub.flush()
        assert hub.missed(ADMIN, hub.epoch, 0) is None
        recent = hub.missed(ADMIN, hub.epoch, 4990)
        assert recent is not None
        assert len(json.loads(recent[0])["events"]) == 10

    async def test_an_event_is_encoded_once_for_all_listeners(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        listeners = [hub.join(ADMIN) for _ in range(3)]
        bus.publish(JobRemoved(id="x"))
        hub.flush()
        frames = [await listener.take() for listener in listeners]
        assert frames[0] is frames[1] is frames[2]


@contextlib.asynccontextmanager
async def serving_live(hub: LiveHub) -> AsyncIterator[str]:
    """A real uvicorn with nothing but the live socket of `hub`, as the server configures it."""

    async def snapshot(_actor: Actor) -> SnapshotFrame:
        host = HostOut(cpu_percent=0, memory_used_bytes=0, memory_total_bytes=0)
        return SnapshotFrame(epoch=hub.epoch, seq=hub.seq, jobs=[], workers=[], environments=[], devices=[], host=host)

    nowhere = Path("/nonexistent")
    gate = Gate(AccessSettings(), Accounts(Database(nowhere)), Tokens(nowhere), SignInLimit())
    application = LiveSocket(hub, gate, snapshot)
    config = uvicorn.Config(
        application, port=0, lifespan="off", log_config=None, ws=LiveProtocol, ws_per_message_deflate=False
    )
    uvicorn_server = uvicorn.Server(config)
    task = asyncio.create_task(uvicorn_server.serve())
    while not uvicorn_server.started:
        await asyncio.sleep(0.01)
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}/"
    finally:
        uvicorn_server.should_exit = True
        await asyncio.wait_for(task, 20)


class Connection:
    """What a listener writes to, as `LiveProtocol` offers it: takes frames while `writable`."""

    def __init__(self) -> None:
        self.writable = True
        self.written: list[int] = []

    def write(self, wire: bytes) -> bool:
        if self.writable:
            self.written.append(number_in(wire[wire.index(b"{") :]))
        return self.writable


def number_in(frame: str | bytes) -> int:
    (event,) = json.loads(frame)["events"]
    return int(event["id"])


class TestWritingAtOnce:
    async def test_only_to_who_has_nothing_left_to_send_and_in_order(self) -> None:
        bus, connection = EventBus(), Connection()
        hub = LiveHub(bus)
        listener = hub.join(ADMIN, connection.write)
        numbers = iter(range(100))

        def publish() -> None:
            bus.publish(JobRemoved(id=str(next(numbers))))
            hub.flush()

        publish()  # the task has not come to take: it may still be sending the snapshot
        assert connection.written == [] and number_in(await listener.take() or "") == 0
        taking = asyncio.create_task(listener.take())
        await asyncio.sleep(0)
        publish()
        publish()
        assert connection.written == [1, 2] and not taking.done()
        connection.writable = False
        publish()
        connection.writable = True  # the task has woken, but it has not sent its frame yet: nobody overtakes it
        publish()
        assert connection.written == [1, 2]
        assert number_in(await taking or "") == 3 and number_in(await listener.take() or "") == 4
        assert not listener.frames

    async def test_a_slow_browser_gets_all_in_order_or_is_closed_and_harms_nobody(self) -> None:
        bus = EventBus()
        hub = LiveHub(bus)
        async with serving_live(hub) as url:
            connecting = [connect(url, compression=None, max_queue=None) for _ in range(2)]
            async with connect(url, compression=None, max_queue=(4, 1)) as slow:
                readers = [asyncio.create_task(self.all_numbers(one, 4000)) for one in connecting]
                while hub.listeners < 3:
                    await asyncio.sleep(0.01)
                for number in range(4000):
                    bus.publish(JobRemoved(id=f"{number:04000}"))
                    hub.flush()
                    if number % 50 == 0:
                        await asyncio.sleep(0)
                assert [await asyncio.wait_for(reader, 30) for reader in readers] == [list(range(4000))] * 2
                got: list[int] = []
                with contextlib.suppress(ConnectionClosed):
                    while len(got) < 4000:
                        message = await frame(slow)
                        got += [int(event["id"]) for event in message.get("events", [])]
                assert got == list(range(len(got)))
                assert len(got) < 4000 and slow.close_code == 1013, "it was slow enough to be closed"

    async def all_numbers(self, connecting: connect, count: int) -> list[int]:
        got: list[int] = []
        async with connecting as socket:
            while len(got) < count:
                got += [int(event["id"]) for event in (await frame(socket)).get("events", [])]
        return got
