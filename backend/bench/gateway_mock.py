"""An engine that costs next to nothing, for measuring what stands in front of one.

    python -m bench.gateway_mock SOCKET PORT

It answers every POST the same: whole, or 64 events at once (20 ms apart when the question says `paced`, and four times
as many when it says `long`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httptools
import uvloop

EVENTS, PACE_SECONDS = 64, 0.02
USAGE = {"prompt_tokens": 10, "completion_tokens": EVENTS, "total_tokens": 10 + EVENTS}


def _json(**more: Any) -> bytes:
    return json.dumps({"id": "chatcmpl-1", "created": 1, "model": "mock", **more}, separators=(",", ":")).encode()


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _delta(choices: list[Any], **more: Any) -> bytes:
    return _chunk(_json(object="chat.completion.chunk", choices=choices, **more))


_BODY = _json(
    object="chat.completion",
    choices=[{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}],
    usage=USAGE,
)
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = [_delta([{"index": 0, "delta": {"content": f" w{n}"}, "finish_reason": None}]) for n in range(EVENTS)]
LAST = _delta([], usage=USAGE)
END = _chunk(b"[DONE]") + b"0\r\n\r\n"


class Mock(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport, self._parser, self._body = transport, httptools.HttpRequestParser(self), b""

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # somebody tries HTTP/2
            self._transport.close()

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body = self._body.replace(b" ", b"")
        last = LAST if b'"include_usage":true' in body else b""
        if b'"stream":true' not in body:
            self._transport.write(PLAIN)
        elif b"paced" in body:
            asyncio.get_running_loop().create_task(self._paced(last, 4 if b"long" in body else 1))
        else:
            self._transport.write(HEAD + b"".join(WORDS) + last + END)

    async def _paced(self, last: bytes, times: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport.write(HEAD)
        due = loop.time()
        for word in WORDS * times:
            due += PACE_SECONDS
            await asyncio.sleep(due - loop.time())
            self._transport.write(word)
        self._transport.write(last + END)


async def serve(socket: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    # Kept: a server that nobody holds is closed by the garbage collector sooner or later.
    listening = [
        await loop.create_unix_server(Mock, socket, backlog=1024),
        await loop.create_server(Mock, "127.0.0.1", port, backlog=1024),
    ]
    print(f"ready on {len(listening)}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
