"""One process per environment that has an engine's libraries imported and forks a worker in hundredths of a second.

`Forkserver` is the server's end of `engines.forkserver`: a control socket with JSON lines (`engines.protocol`) and a
death pipe whose write end only the server holds.

It is spawned with `subprocess.Popen` straight from the caller's thread, which is the event loop's and thus the main
one: PR_SET_PDEATHSIG follows the *thread* that made a process, so a pool thread would take the forkserver with it.

    state     spawn()                        close()
    new       starts it first                nothing to do
    running   answers the pid                ends it and every worker of it
    retired   refused, workers live on       ends it and every worker of it
    dead      refused                        nothing to do

`Forkservers` keeps one for each engine and starts another when one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from engines import protocol

from atelier.config import own_variables
from atelier.errors import EnvironmentNotReady, WorkerStartFailed
from atelier.runtime import exits, logtail, processes
from atelier.runtime.engines import SERVER_ENVIRONMENT, EngineEntry
from atelier.runtime.environments import Environments
from atelier.runtime.variables import engine_environment
from atelier.said import Said

log = logging.getLogger(__name__)

BACKEND = Path(__file__).resolve().parents[2]
SPAWN_DEADLINE = 20.0


class Forkserver:
    """Owns one `engines.forkserver` process and its control socket."""

    def __init__(self, python: Path, *, preload: str | None, env: Mapping[str, str], log_path: Path) -> None:
        self.python = python
        self.ready: protocol.ForkserverReady | None = None
        self.ready_at: float = 0.0
        self.log_path = log_path
        self._preload = preload
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._itself: processes.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._death: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._spawned: dict[str, asyncio.Future[int]] = {}
        self._exits: dict[str, Callable[[protocol.Exited], None]] = {}
        self._unwanted: set[str] = set()
        self._dead = False
        self.retired = False

    @property
    def usable(self) -> bool:
        """Whether a worker can be spawned (a new one starts by itself)."""
        return not self._dead and not self.retired

    @property
    def worker_count(self) -> int:
        return len(self._exits)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, deadline: float) -> None:
        """Start it, once, and wait until the libraries are imported. Shared by everyone who calls meanwhile."""
        if self.ready is not None and not self._dead:
            return
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(deadline))
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._starting)

    async def spawn(self, message: protocol.Spawn, on_exit: Callable[[protocol.Exited], None], deadline: float) -> int:
        """Fork a worker; its pid. `on_exit` is called once, when it ends or when the forkserver does.

        When the caller gives up, the worker that is forked nevertheless is killed.
        """
        await self.start(deadline)
        if not self.usable or self._writer is None:
            raise self._failed(Said("The process that starts workers has ended.", "worker.starter_ended"))
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._spawned[message.worker_id] = answer
        self._exits[message.worker_id] = on_exit
        try:
            self._writer.write(protocol.encode_line(message))
            async with asyncio.timeout(min(SPAWN_DEADLINE, deadline / 2)):
                return await answer
        except TimeoutError:
            self.retired = True  # it hangs: its living workers keep it, nobody else gets it
            self._forget(message.worker_id, answer)
            raise self._failed(
                Said("The process that starts workers does not answer.", "worker.starter_silent")
            ) from None
        except asyncio.CancelledError:
            self._forget(message.worker_id, answer)
            raise
        finally:
            self._spawned.pop(message.worker_id, None)

    async def close(self) -> None:
        """End it and every worker of it: closing the death pipe is the order to do so."""
        self._dead = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        if self._death is not None:
            os.close(self._death)
            self._death = None
        if self._process is not None:
            await self._end_process()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _start(self, deadline: float) -> None:
        ours, theirs = socket.socketpair()
        read, self._death = os.pipe()
        command = [str(self.python), "-m", "engines.forkserver"]
        if self._preload:
            command += ["--preload", self._preload]
        try:
            with logtail.opened(self.log_path) as output:
                self._process = subprocess.Popen(
                    [*command, "--control", str(theirs.fileno()), "--death", str(read)],
                    pass_fds=(theirs.fileno(), read),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd=BACKEND,
                    env=self._env,
                )
        except OSError as error:
            ours.close()
            os.close(self._death)
            self._death = None
            self._dead = True
            reason = str(error.strerror)
            words = f"The engine's Python cannot be started ({reason})."
            raise self._failed(Said(words, "worker.python_failed", reason=reason)) from error
        finally:
            theirs.close()
            os.close(read)
        self._itself = processes.look(self._process.pid)
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=protocol.MAX_LINE_BYTES)
        ready = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(reader, ready))
        try:
            async with asyncio.timeout(deadline):
                self.ready = await ready
            self.ready_at = time.monotonic()
        except TimeoutError:
            self._dead = True
            await self._end_process()
            words = f"The engine's libraries were not imported within {deadline:g} seconds."
            raise self._failed(Said(words, "worker.import_slow", seconds=deadline)) from None

    async def _read(self, reader: asyncio.StreamReader, ready: asyncio.Future[protocol.ForkserverReady]) -> None:
        """Everything the forkserver says, until it ends. The only task that reads the control socket."""
        try:
            while line := await reader.readline():
                message = protocol.control_decoder.decode(line)
                match message:
                    case protocol.ForkserverReady():
                        ready.done() or ready.set_result(message)
                    case protocol.Spawned(worker_id=worker_id, pid=pid):
                        if worker_id in self._unwanted:
                            self._unwanted.discard(worker_id)
                            self._kill_child(pid)
                        elif (answer := self._spawned.get(worker_id)) and not answer.done():
                            answer.set_result(pid)
                    case protocol.Exited(worker_id=worker_id):
                        self._ended(message)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("forkserver spoke nonsense: %s", error)
        await self._lost(ready)

    def _forget(self, worker_id: str, answer: asyncio.Future[int]) -> None:
        self._exits.pop(worker_id, None)
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            self._kill_child(answer.result())
        else:
            self._unwanted.add(worker_id)

    def _kill_child(self, pid: int) -> None:
        child = processes.look(pid)
        if child is not None and child.parent == self.pid:
            processes.kill([child])

    def _ended(self, message: protocol.Exited) -> None:
        if (answer := self._spawned.get(message.worker_id)) and not answer.done():
            answer.set_result(message.pid)
        if on_exit := self._exits.pop(message.worker_id, None):
            on_exit(message)

    async def _lost(self, ready: asyncio.Future[protocol.ForkserverReady]) -> None:
        """The control socket closed: the process is gone or useless."""
        self._dead = True
        await self._end_process()
        failure = self._failed(Said("The engine's libraries cannot be imported.", "worker.import_failed"))
        if not ready.done():
            ready.set_exception(failure)
            ready.exception()  # read here, so that nobody listening is no warning
        for answer in self._spawned.values():
            if not answer.done():
                answer.set_exception(failure)
        for worker_id, on_exit in list(self._exits.items()):
            on_exit(protocol.Exited(worker_id=worker_id, pid=0))
        self._exits.clear()
        if self._writer is not None:
            self._writer.close()
        if self._death is not None:
            os.close(self._death)
            self._death = None

    async def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 10.0)):
            deadline = time.monotonic() + patience
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
            while process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(0.01)

    def _failed(self, message: Said) -> WorkerStartFailed:
        tail = logtail.read(self.log_path)
        code = self._process.poll() if self._process else None
        if code is None or code == 0:
            return WorkerStartFailed(message, log_tail="\n".join(tail) or None, crash=True)
        cause = exits.classify(code if code > 0 else None, -code if code < 0 else None, tail, "starting")
        return WorkerStartFailed(cause.message, hint=cause.hint, log_tail="\n".join(tail) or None, crash=cause.crash)


class Forkservers:
    """The forkserver of each engine. Those that hang are kept aside until their last worker ends."""

    def __init__(self, environments: Environments, *, logs_dir: Path, instance: str) -> None:
        self._environments = environments
        self._logs = logs_dir
        self._instance = instance
        self._current: dict[tuple[Path, str], Forkserver] = {}
        self._retired: list[Forkserver] = []

    def of(self, entry: EngineEntry) -> Forkserver:
        """The one to spawn this engine's workers from, started or not. Raises EnvironmentNotReady."""
        python = self._environments.python(entry.environment)
        if python is None:
            raise EnvironmentNotReady(
                f"The environment {entry.environment!r} is not built yet.", hint="Build it on the system page."
            )
        key = (python, entry.module)
        server = self._current.get(key)
        if server is not None and server.usable:
            return server
        if server is not None and server.retired:
            self._retired.append(server)
        own = entry.environment == SERVER_ENVIRONMENT
        server = self._current[key] = Forkserver(
            python,
            preload=entry.module if entry.forkable else None,
            env=engine_environment(own_variables(), self._instance, is_servers_own=own),
            log_path=self._logs / f"forkserver-{entry.module.rpartition('.')[2]}.log",
        )
        return server

    def pids(self) -> set[int]:
        return {server.pid for server in self._all() if server.pid is not None}

    async def look_after(self) -> None:
        """Keep the logs short; end retired ones that have no worker left."""
        for server in self._all():
            logtail.cut(server.log_path)
        for server in [server for server in self._retired if server.worker_count == 0]:
            self._retired.remove(server)
            await server.close()

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._all()))
        self._current.clear()
        self._retired.clear()

    def _all(self) -> list[Forkserver]:
        return [*self._current.values(), *self._retired]
