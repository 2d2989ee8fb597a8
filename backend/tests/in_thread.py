"""A server in a thread of this process: what it leaves in memory can be counted, and its limits be changed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from atelier.wire import PatientProtocol


@contextlib.contextmanager
def served(app: Any, **more: Any) -> Iterator[int]:
    """`app` behind the real protocol; the port. `more`: of `uvicorn.Config`."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, http=PatientProtocol, loop="uvloop", **more))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
