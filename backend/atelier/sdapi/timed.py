"""Every answer of `/sdapi` says how long it took, in seconds, as A1111's do."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from atelier.routing import LateRoute


class TimedRoute(LateRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def timed(request: Request) -> Response:
            begun = time.perf_counter()
            response = await handle(request)
            response.headers["X-Process-Time"] = f"{time.perf_counter() - begun:.4f}"
            return response

        return timed
