"""Every answer of `/sdapi` says how long it took, in seconds, as A1111's do; refusals and failures too."""

from __future__ import annotations

import time

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from atelier.routing import LateRoute


class TimedRoute(LateRoute):
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Process-Time"] = f"{time.perf_counter() - begun:.4f}"
            await send(message)

        await super().handle(scope, receive, timed)
