"""G15: events to browsers through the real `/api/live`, beside bare `websockets.broadcast`.

    python -m bench.live_events

200 clients are connected to a real uvicorn that runs the real `Front`, `LiveSocket` and `LiveHub` on one core; the
clients live in two processes on the other. Events have 200 bytes. Uncoalesced: every event is flushed as a frame of
its own. Coalesced: the hub's own tick (50 ms), 20 events in each. The other side is a server of the `websockets`
library that calls `broadcast` for each event. What is compared is deliveries per second of CPU time of the serving
process, the best of the rounds; every client must have got every event, in order.

Then one of 50 clients stops reading: the p99 of the delay until the others have an event, with it and without it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measuring import (
    BACKEND,
    Goal,
    Report,
    WrongAnswer,
    clean_environment,
    middle,
    options_for,
    pin,
    quantile,
    run_side,
    take_turns,
)

CLIENTS = 200
CLIENT_PROCESSES = 2
EVENT_BYTES = 200
PER_TICK = 20
STALL_CLIENTS = 50


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--events", type=int, default=300, help="events of each round (300)")
    parser.add_argument(
        "--serve", choices=["broadcast", "uncoalesced", "coalesced", "steady", "stalled"], help=argparse.SUPPRESS
    )
    parser.add_argument("--follow", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", default="/", help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, default=CLIENTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.follow:
        pin(1)
        print(json.dumps(asyncio.run(_follow(options.follow, options.path, options.clients, options.events))))
        return 0
    if options.serve:
        pin(0)
        import uvloop

        print(json.dumps(uvloop.run(_serve(options.serve, options.events))))
        return 0

    def side(kind: str, events: int) -> Callable[[], dict[str, float]]:
        return lambda: run_side("bench.live_events", "--serve", kind, "--events", str(events))

    found = take_turns(
        {
            "websockets.broadcast": side("broadcast", options.events),
            "Atelier, uncoalesced": side("uncoalesced", options.events),
            "Atelier, coalesced": side("coalesced", options.events * 5),
        },
        options.rounds,
    )
    stall = take_turns({"steady": side("steady", 40), "one stalled": side("stalled", 40)}, options.rounds)
    report = Report("live_events")
    best = {name: max(one["per_cpu"] for one in rounds) for name, rounds in found.items()}
    bare = best["websockets.broadcast"]
    for name, rounds in found.items():
        report.row(
            name,
            **{
                "deliveries per CPU s": best[name],
                "median": middle(rounds, "per_cpu"),
                "of broadcast": best[name] / bare,
            },
        )
    p99 = {name: min(one["p99"] for one in rounds) for name, rounds in stall.items()}
    for name in stall:
        report.row(
            f"delay p99, {name}", **{"least ms": p99[name] * 1000, "median ms": middle(stall[name], "p99") * 1000}
        )
    report.goals = [
        Goal("G15", "uncoalesced, of broadcast", best["Atelier, uncoalesced"] / bare, 0.75, at_most=False),
        Goal("G15", "coalesced, of broadcast", best["Atelier, coalesced"] / bare, 5, at_most=False),
        Goal("G15", "p99 with a stalled client, of without", p99["one stalled"] / p99["steady"], 1.1),
    ]
    return report.finish(options)


async def _serve(kind: str, events: int) -> dict[str, float]:
    if kind == "broadcast":
        from websockets.asyncio.server import broadcast, serve

        connections: set[Any] = set()
        epoch = "0" * 16

        async def keep(connection: Any) -> None:
            connections.add(connection)
            await connection.send(json.dumps({"type": "snapshot"}))
            await connection.wait_closed()

        async with serve(keep, "127.0.0.1", 0, compression=None) as server:
            port = server.sockets[0].getsockname()[1]

            def publish(number: int) -> None:
                body = _event(number)
                head = f'{{"type":"events","epoch":"{epoch}","seq":{number},"events":['
                broadcast(connections, head + body + "]}")

            return await _measure(port, "/", events, publish, lambda: len(connections), CLIENTS, 1)
    return await _serve_atelier(kind, events)


async def _serve_atelier(kind: str, events: int) -> dict[str, float]:
    import uvicorn
    from atelier.access.accounts import Accounts
    from atelier.access.gate import Gate
    from atelier.access.limit import SignInLimit
    from atelier.access.tokens import Tokens
    from atelier.config import AccessSettings, ServerSettings
    from atelier.db import Database
    from atelier.events import Envelope, EventBus
    from atelier.front import Front
    from atelier.hosts import Hosts
    from atelier.live.frames import SnapshotFrame
    from atelier.live.hub import LiveHub
    from atelier.live.socket import LiveSocket
    from atelier.live.wire import LiveProtocol
    from atelier.shapes import HostOut

    bus = EventBus()
    hub = LiveHub(bus)

    async def snapshot(_actor: Any) -> SnapshotFrame:
        host = HostOut(cpu_percent=0, memory_used_bytes=0, memory_total_bytes=0)
        return SnapshotFrame(epoch=hub.epoch, seq=hub.seq, jobs=[], workers=[], environments=[], devices=[], host=host)

    async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("only the live socket is served here")

    nowhere = Path("/nonexistent")
    gate = Gate(AccessSettings(), Accounts(Database(nowhere)), Tokens(nowhere), SignInLimit())
    front = Front(nothing, LiveSocket(hub, gate, snapshot), Hosts(ServerSettings()), {})
    config = uvicorn.Config(
        front,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws=LiveProtocol,
        ws_per_message_deflate=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await hub.start()

    def publish(number: int) -> None:
        envelope = Envelope(_event(number).encode(), None, None)
        for listener in bus._listeners:
            listener(envelope)
        if kind == "uncoalesced":
            hub.flush()

    per_pause = PER_TICK if kind == "coalesced" else 1
    clients = STALL_CLIENTS if kind in ("steady", "stalled") else CLIENTS
    stalled = await _stall(port) if kind == "stalled" else None
    extra = 1 if stalled else 0
    figures = await _measure(
        port,
        "/api/live",
        events,
        publish,
        lambda: hub.listeners - extra,
        clients,
        per_pause,
        pause={"coalesced": 0.05, "steady": 0.06, "stalled": 0.06}.get(kind, 0.0),
        ballast=kind in ("steady", "stalled"),
    )
    if stalled:
        stalled.close()
    await hub.close()
    server.should_exit = True
    await asyncio.wait_for(serving, 20)
    return figures


async def _stall(port: int) -> Any:
    """A client that has connected and never reads again."""
    import socket

    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    request = (
        f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(connection, request.encode())
    return connection


async def _measure(
    port: int,
    path: str,
    events: int,
    publish: Callable[[int], None],
    connected: Callable[[], int],
    clients: int,
    per_pause: int,
    *,
    pause: float = 0.0,
    ballast: bool = False,
) -> dict[str, float]:
    """Start the clients, publish, wait until they have it all; deliveries per CPU second of this process."""
    share = clients // CLIENT_PROCESSES
    command = [
        sys.executable,
        "-m",
        "bench.live_events",
        "--follow",
        str(port),
        "--path",
        path,
        "--clients",
        str(share),
    ]
    followers = [
        await asyncio.create_subprocess_exec(
            *command,
            "--events",
            str(events),
            cwd=BACKEND,
            env={**clean_environment(), "PYTHONPATH": str(BACKEND)},
            stdout=subprocess.PIPE,
        )
        for _ in range(CLIENT_PROCESSES)
    ]
    deadline = time.monotonic() + 60
    while connected() < share * CLIENT_PROCESSES and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    if connected() < share * CLIENT_PROCESSES:
        raise WrongAnswer(f"only {connected()} of {clients} clients are connected")
    await asyncio.sleep(0.3)
    begun = _own_cpu()
    for number in range(events):
        publish(number)
        if (number + 1) % per_pause == 0:
            await asyncio.sleep(pause or 0.002)
    outputs = await asyncio.gather(*(asyncio.wait_for(follower.communicate(), 90) for follower in followers))
    cpu = _own_cpu() - begun
    delays: list[float] = []
    for out, _ in outputs:
        answer = json.loads(out)
        if answer["wrong"] or answer["delivered"] != share * events:
            raise WrongAnswer(f"{answer['wrong']} events wrong, {answer['delivered']} of {share * events} delivered")
        delays += answer["delays"]
    return {
        "per_cpu": share * CLIENT_PROCESSES * events / cpu,
        "p99": quantile(delays, 0.99),
        "p50": quantile(delays, 0.5),
    }


async def _follow(port: int, path: str, clients: int, events: int) -> dict[str, Any]:
    """Clients of one process: all must see events 0, 1, 2, … ."""
    from websockets.asyncio.client import connect

    wrong = delivered = 0
    delays: list[float] = []

    async def one() -> None:
        nonlocal wrong, delivered
        async with connect(f"ws://127.0.0.1:{port}{path}", compression=None, max_queue=None) as socket:
            expected = 0
            while expected < events:
                frame = json.loads(await socket.recv())
                if frame["type"] != "events":
                    continue
                now = time.perf_counter()
                for event in frame["events"]:
                    wrong += event["step"] != expected
                    expected += 1
                    delivered += 1
                    delays.append(now - event["at"])

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(clients))), 80)
    step = max(1, len(delays) // 5000)
    return {"wrong": wrong, "delivered": delivered, "delays": sorted(delays)[::step]}


def _event(number: int) -> str:
    head = '{"type":"job.progress","id":"job_0123456789abcdef0123","attempt":1,'
    body = f'{head}"step":{number},"at":{time.perf_counter():.6f},"message":"'
    return body + "x" * (EVENT_BYTES - len(body) - 2) + '"}'


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
