"""How many requests a library's server has under way, and how often it sent something, counted by the server itself:
`GET /under-way` answers "3 1071".

ASGI middleware without imports of its own, for `--middleware engines.under_way.UnderWay` of vLLM. The figures of vLLM's
own `/metrics` come from the process that computes, so that one which hangs before it hears of a request has none.
"""

from __future__ import annotations

from typing import Any

PATH = "/under-way"
COUNTED = "/v1/"


class UnderWay:
    """Around the server's application: a request counts until its answer is sent, or its client has gone."""

    def __init__(self, app: Any) -> None:
        self._app, self.count, self.sent = app, 0, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == PATH:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"%d %d" % (self.count, self.sent)})
        elif scope["method"] == "POST" and scope["path"].startswith(COUNTED):
            self.count += 1

            async def sending(message: Any) -> None:
                self.sent += 1
                await send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                self.count -= 1
        else:
            await self._app(scope, receive, send)
