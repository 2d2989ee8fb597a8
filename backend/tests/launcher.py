"""Forks Atelier servers from a process that has the libraries imported, so that a start costs no import.

    python -m tests.launcher [MODULE]

Lines of JSON in: {"environment", "log", "port", "rigs"}; out: {"pid"} for each, {"pid", "status"} when one has ended.

A server started here differs from `python -m atelier serve` in nothing but that: it has the environment that the order
names and no other, leads its own session, writes to its own log, and is killed like any other process. `rigs` names
entries of `MODULE.RIGS`, changes to the child's own copy of the code. The product has no such switches.

Ends with its standard input, and takes the servers with it, and the folder of their workers' sockets: a killed server
cannot remove its own. (Its path is short, as a socket's must be.)
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
import traceback
from typing import Any

import aiosqlite  # noqa: F401
import alembic.command  # noqa: F401
import httptools  # noqa: F401
import uvicorn.protocols.http.httptools_impl  # noqa: F401
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401
import uvloop  # noqa: F401
from atelier import cli
from atelier.config import read_settings
from atelier.main import create_app
from sqlalchemy.orm import configure_mappers


def serve(order: dict[str, Any], rigs: dict[str, Any]) -> None:
    """In the child: become the server. Never returns."""
    status = 70
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(order["environment"])
        for name in order["rigs"]:
            rigs[name]()
        status = cli.main(["serve", "--port", str(order["port"])])
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def tell(**facts: Any) -> None:
    os.write(1, json.dumps(facts).encode() + b"\n")


def listen(children: set[int], wake: int, rigs: dict[str, Any]) -> None:
    """Until standard input ends."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        for source in (0, wake):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if wake in ready:
                os.read(wake, 4096)
            for pid in list(children):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    children.discard(pid)
                    tell(pid=pid, status=os.waitstatus_to_exitcode(status))
            if 0 in ready:
                data = os.read(0, 1 << 16)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    pid = os.fork()
                    if pid == 0:
                        serve(json.loads(line), rigs)
                    children.add(pid)
                    tell(pid=pid)


def main(module: str | None = None) -> None:
    rigs = importlib.import_module(module).RIGS if module else {}
    children: set[int] = set()
    wake, poke = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(poke)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever orders the servers ends them, and closes standard input
    create_app(read_settings({}))  # for what it imports on its way
    configure_mappers()
    gc.collect()
    gc.freeze()
    sockets = tempfile.mkdtemp(prefix="at-")
    tell(threads=len(os.listdir("/proc/self/task")), sockets=sockets)
    try:
        listen(children, wake, rigs)
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
