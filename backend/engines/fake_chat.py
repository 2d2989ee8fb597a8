"""A server of OpenAI's API without a model, for tests of everything around chat. Standard library only.

    python -m engines.fake_chat --socket /tmp/w.v1 --name lore --name embedded/lore --task chat

`engines.fake` starts it as its child when its option `task` is "chat" or "embed". What it says is made from the request
(`engines.fake_chat_answers`): the same request gets the same answer. A chat server has /v1/chat/completions,
/v1/completions, /v1/responses, /v1/messages, /tokenize, /detokenize; an embedding server /v1/embeddings; both
/v1/models, /health, /version, /metrics, /load, and /sleep, /wake_up, /is_sleeping. Errors look like vLLM's.

A request steers it by the field `fake`, or by words of its last message such as `fake:tokens=5`:

    tokens=N           so many words (8)                delay_ms=N        before each word (the option `delay_ms`)
    first_delay_ms=N   before anything is sent          reasoning=N       so many words of reasoning first
    computes=1         uses the processor meanwhile, and counts nothing
    status=N           answer with this error           tool=1            call the first tool, as `required` would
    error_after=N      an error event after N words     break_after=N     close the connection after N words
    die_after=N        SIGKILL to itself                stop_after=N      SIGSTOP to itself
    hang_after=N       say nothing more to this one     exit_after=N      end with status 3
    say=%7B%7D         this, percent-encoded, as the one word of the answer

`GET /fake` tells what it saw: `requests` (the last hundred: method, path, headers, body), `running`, `aborted`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from engines.fake_chat_answers import ROUTES, Answer, Bad, Breaks, Steering

MAX_BODY = 64 * 1024 * 1024
KEPT = 100
STEP_SECONDS = 0.1


class FakeServer:
    """One socket, and what was asked on it."""

    def __init__(self, names: list[str], task: str, settings: dict[str, Any]) -> None:
        self.names, self.task, self.settings = names, task, settings
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.running = self.aborted = self.served = self.steps = 0
        self.asleep = False

    async def serve(self, socket: Path) -> None:
        server = await asyncio.start_unix_server(self._connected, socket, limit=MAX_BODY)
        os.chmod(socket, 0o600)
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                if not await self._answered(request, reader, writer):
                    break
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the caller has gone, or speaks no HTTP
        finally:
            writer.close()

    async def _answered(
        self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; whether the connection may go on. A caller that goes is noticed at once."""
        own = self._own(request)
        if own is not None:
            _send(writer, own)
            await writer.drain()
            return True
        self.requests.append(request)
        self.running += 1
        self.served += 1
        work = asyncio.ensure_future(self._work(request, writer))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            # Who has gone is noticed by whoever of the two writes or reads first.
            if work.done() and not isinstance(work.exception(), OSError):
                return work.result() and not gone.done()
            self.aborted += 1
            return False
        finally:
            self.running -= 1
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _work(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        try:
            answer = self._made(request)
            steering = answer.steering
            await self._read_prompt(steering)
            if answer.stream is None:
                await self._pass_time(steering, answer.words)
                _send(writer, answer, request["headers"])
                await writer.drain()
            else:
                await _stream(writer, answer, request["headers"])
            return True
        except Bad as bad:
            _send(writer, bad.answer(), request["headers"])
            await writer.drain()
            return True
        except Breaks:
            return False

    async def _read_prompt(self, steering: Steering) -> None:
        """In steps that are counted; or in one that is none, and keeps the processor busy."""
        until = time.monotonic() + steering.first_delay
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, STEP_SECONDS))
            if steering.computes:
                busy = time.process_time() + STEP_SECONDS / 4
                while time.process_time() < busy:
                    pass
            else:
                self.steps += 1

    async def _pass_time(self, steering: Steering, words: int) -> None:
        for said in range(words + 1):
            await _mishap(steering, said)
            if said < words and steering.delay:
                await asyncio.sleep(steering.delay)
                self.steps += 1

    def _made(self, request: dict[str, Any]) -> Answer:
        for method, prefix, task, make in ROUTES:
            is_it = request["path"].startswith(prefix) if prefix.endswith("/") else request["path"] == prefix
            if is_it and task in (None, self.task) and request["method"] == method:
                body = _json(request["body"]) if method == "POST" else {}
                if "model" in body and body["model"] not in self.names:
                    raise Bad(404, f"The model `{body['model']}` does not exist.", "NotFoundError", "model")
                if method == "POST" and self.asleep:
                    raise Bad(503, "the engine is asleep", "ServiceUnavailableError")
                steering = Steering.of(body, self.settings)
                if steering.status:
                    raise Bad(steering.status, "the request says so")
                loras = json.loads(str(self.settings.get("loras") or "{}"))
                name = body["model"] if body.get("model") in loras else self.names[0]
                answer = make(body, name, self.settings, request["path"])
                answer.steering = steering
                return answer
        raise Bad(404, "Not Found")

    def _own(self, request: dict[str, Any]) -> Answer | None:
        """Answers about the server itself, which are not counted."""
        match request["method"], request["path"].partition("?")[0]:
            case "GET", "/health" | "/ping":
                return Answer({}, empty=True)
            case "GET", "/version":
                return Answer({"version": "fake"})
            case "GET", "/load":
                return Answer({"server_load": self.running})
            case "GET", "/is_sleeping":
                return Answer({"is_sleeping": self.asleep})
            case "POST", "/sleep" | "/wake_up" as path:
                self.asleep = path == "/sleep"
                return Answer({"status": "sleeping" if self.asleep else "awake"})
            case "GET", "/metrics":
                figures = {"num_requests_running": self.running, "iteration_tokens_total_count": self.steps}
                return Answer({}, text="".join(f"vllm:{name} {value}\n" for name, value in figures.items()))
            case "GET", "/fake":
                seen = {"requests": [_shown(r) for r in self.requests], "running": self.running}
                return Answer(seen | {"aborted": self.aborted, "served": self.served, "pid": os.getpid()})
            case "GET", "/v1/models":
                limit = int(self.settings.get("max_model_len", 4096))
                shown = [{"id": name, "object": "model", "max_model_len": limit} for name in self.names]
                return Answer({"object": "list", "data": shown})
        return None


# ── HTTP ──────────────────────────────────────────────────────────────────────


async def _read_request(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return {"method": method, "path": path, "headers": headers, "body": body}


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return bytes(body)


def _head(status: int, content_type: str, request_headers: dict[str, str], *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} -", f"content-type: {content_type}", *more]
    if request_id := request_headers.get("x-request-id"):
        lines.append(f"x-request-id: {request_id}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send(writer: asyncio.StreamWriter, answer: Answer, headers: dict[str, str] | None = None) -> None:
    body = b"" if answer.empty else answer.text.encode() if answer.text else json.dumps(answer.body).encode()
    kind = "text/plain" if answer.text else "application/json"
    writer.write(_head(answer.status, kind, headers or {}, f"content-length: {len(body)}") + body)


async def _stream(writer: asyncio.StreamWriter, answer: Answer, headers: dict[str, str]) -> None:
    """Server-sent events, each in a chunk of its own as uvicorn writes them."""
    writer.write(_head(200, "text/event-stream; charset=utf-8", headers, "transfer-encoding: chunked"))
    assert answer.stream is not None
    async for event in _paced(answer):
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _paced(answer: Answer) -> AsyncIterator[bytes]:
    said = 0
    assert answer.stream is not None
    for event in answer.stream:
        if event.is_word:
            if answer.steering.error_after == said:
                yield b"data: %b\n\n" % json.dumps(Bad(500, "the request says so").answer().body).encode()
                break
            await _mishap(answer.steering, said)
            await asyncio.sleep(answer.steering.delay)
            said += 1
        yield event.bytes
    else:
        await _mishap(answer.steering, said)


async def _mishap(steering: Steering, said: int) -> None:
    """What is to go wrong after so many words."""
    await asyncio.sleep(0)
    if steering.die_after == said:
        os.kill(os.getpid(), signal.SIGKILL)
    if steering.exit_after == said:
        sys.stderr.write("fake chat: about to exit\n")
        os._exit(3)
    if steering.stop_after == said:
        os.kill(os.getpid(), signal.SIGSTOP)
    if steering.hang_after == said:
        await asyncio.sleep(3600)
    if steering.break_after == said:
        raise Breaks


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Bad(400, f"Invalid JSON: {error}") from error
    if not isinstance(value, dict):
        raise Bad(400, "the body is no JSON object")
    return value


def _shown(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "body": request["body"].decode(errors="replace")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.fake_chat")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--name", action="append", required=True)
    parser.add_argument("--task", choices=["chat", "embed"], default="chat")
    parser.add_argument("--settings", type=json.loads, default={}, help="load options, a JSON object")
    given = parser.parse_args()
    asyncio.run(FakeServer(given.name, given.task, given.settings).serve(given.socket))


if __name__ == "__main__":
    main()
