"""Asks a gateway as fast as it answers, on so many connections.

    python -m bench.gateway_load PORT CONNECTIONS SECONDS plain|stream|paced|long PID

Prints one JSON object: answers, seconds, CPU seconds of the process tree PID, events, latencies. Ends with 1 when one
answer was wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httptools
import uvloop

from bench.measuring import cpu_seconds, pin, quantile

KEY = "sk-bench-0123456789"
WARM_SECONDS = 0.5


class Client(asyncio.Protocol):
    """One connection; asks again when it was answered."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._parser, self._tail, self._begun = httptools.HttpResponseParser(self), b"", time.perf_counter()
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._load.events += body.count(b"data: {")
        self._tail = self._tail[-300:] + body

    def on_message_complete(self) -> None:
        load = self._load
        if self._parser.get_status_code() != 200 or load.mark not in self._tail:
            load.wrong = load.wrong or f"{self._parser.get_status_code()}: {self._tail!r}"
        load.took.append(time.perf_counter() - self._begun)
        if load.goes_on:
            asyncio.get_running_loop().call_soon(self._ask)
        else:
            load.ended.release()


class Load:
    def __init__(self, port: int, kind: str) -> None:
        words = "Say hello, please. " * 4 + {"paced": "paced", "long": "paced long"}.get(kind, "")
        body: dict[str, Any] = {"model": "mock", "messages": [{"role": "user", "content": words}]}
        if kind != "plain":
            body["stream"] = True
        raw = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {KEY}\r\n"
            "accept: application/json\r\nuser-agent: OpenAI/Python 3.52.0\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\n\r\n"
        )
        self.request = head.encode() + raw
        self.mark = b"Hello there" if kind == "plain" else b"[DONE]"
        self.took: list[float] = []
        self.events, self.wrong, self.goes_on = 0, "", True
        self.ended = asyncio.Semaphore(0)

    async def run(self, port: int, connections: int, seconds: float, pid: int, *, once: bool) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        self.goes_on = not once
        cpu, begun = cpu_seconds(pid), time.perf_counter()
        for _ in range(connections):
            await loop.create_connection(lambda: Client(self), "127.0.0.1", port)
        if once:
            for _ in range(connections):
                await self.ended.acquire()
        else:
            await asyncio.sleep(WARM_SECONDS)
            self.took.clear()
            self.events = 0
            cpu, begun = cpu_seconds(pid), time.perf_counter()
            await asyncio.sleep(seconds)
        spent, cpu, answers = time.perf_counter() - begun, cpu_seconds(pid) - cpu, len(self.took)
        if self.wrong or not answers:
            raise SystemExit(f"a wrong answer: {self.wrong or 'none came'}")
        latencies = {"p50": quantile(self.took, 0.5), "p99": quantile(self.took, 0.99)}
        return {"answers": answers, "seconds": spent, "cpu": cpu, "events": self.events, **latencies}


def main() -> None:
    port, connections, seconds, kind, pid = sys.argv[1:6]
    pin(0)
    load = Load(int(port), kind)
    print(
        json.dumps(
            uvloop.run(load.run(int(port), int(connections), float(seconds), int(pid), once=kind in ("paced", "long")))
        )
    )


if __name__ == "__main__":
    main()
