"""uvicorn's WebSocket, with one ASGI extension: a ready frame can be written at once.

`send` of ASGI is a coroutine: to use it for a listener means to wake that listener's task, and a frame is framed again
for each. `scope["extensions"]["atelier.write"]` is a plain function instead. It takes a frame as it goes over the
wire and answers whether it was handed to the transport; False when the client is slow or going: then `send` waits.
"""

from __future__ import annotations

from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

EXTENSION = "atelier.write"

Write = Callable[[bytes], bool]


class LiveProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`. Compression must be off: a ready frame is the same for everybody."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][EXTENSION] = self._write  # type: ignore[index,typeddict-unknown-key]

    def _write(self, frame: bytes) -> bool:
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True


def framed(text: bytes) -> bytes:
    """A text message as one unmasked WebSocket frame (RFC 6455, section 5.2)."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)
