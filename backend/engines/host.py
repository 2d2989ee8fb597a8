"""The worker process: one engine, one model, spoken to over HTTP on a Unix socket.

    python -m engines.host diffusers_image --model-path models/creatures --socket /tmp/w.sock
    curl --unix-socket /tmp/w.sock http://worker/health

A forkserver's children run the same `serve()`, with the libraries imported already. Threads: the *main* thread loads
the model and then runs every task; one thread per connection answers `/health`, `/run` and `/cancel`, so that a
worker deep in C code still answers and still sends its heartbeat. The socket listens before anything is imported or
loaded.

    GET  /health               200 Health
    POST /run     Task         200 NDJSON of Update | 400 invalid_task | 409 busy | 503 not_ready
    POST /cancel  Cancel       200 {"cancelled": bool}: false when no such task is running
    errors                     {"code", "message"}; 404, 405, 411, 413 besides

What a caller can rely on: the connection of a run closes after the terminal line, and the worker is `ready` for the
next run before that line is sent. A connection that ends without a terminal line means that the worker died. Hanging
up cancels. SIGTERM ends an idle worker at once with status 0, a busy one after its run ended with `Cancelled`. A
worker whose model does not load answers `failed` with the reason until that has been read once, 5 s at most, and ends
with status 65.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import select
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import msgspec

from engines import lifeline
from engines.engine import (
    OPENAI_SOCKET,
    Closable,
    Engine,
    LoadFailed,
    Options,
    Parkable,
    RunCancelled,
    RunFailed,
    engine_module,
    engine_path,
)
from engines.measured import PeakMemory
from engines.protocol import (
    HEARTBEAT_SECONDS,
    MAX_LINE_BYTES,
    OPENAI_SUFFIX,
    Awake,
    Batch,
    BatchDone,
    Cancelled,
    Done,
    Failed,
    Health,
    Heartbeat,
    Message,
    Park,
    Parked,
    Preview,
    Progress,
    Wake,
    WorkerPhase,
    cancel_decoder,
    encode_line,
    task_decoder,
)

LOAD_FAILED_STATUS = 65
"""Exit status after a model did not load (sysexits' EX_DATAERR)."""

FAILED_LINGER_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
"""A client that sends half a request, or does not read, is dropped after this."""

MAX_CONNECTIONS = 32
CLOSING_EVENTS = select.POLLRDHUP | select.POLLHUP | select.POLLERR


Ending = Done | BatchDone | Failed | Cancelled | Parked | Awake
"""The last update of a run."""


class HungUp(Exception):
    """The client of a run closed its connection."""


class Refused(Exception):
    """A request that gets an error instead of an answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


# ── one run: the main thread writes, a connection's thread reads ──────────────


class TaskRun:
    """A mailbox between the engine and the connection that follows the run.

    Holds at most one unread Progress, newest step and newest preview of every picture, so a slow reader costs neither
    time nor memory; and the terminal update, which nothing replaces.
    """

    def __init__(self, task: Message) -> None:
        self.task = task
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._left_out: set[str] = set()
        self._progress: Progress | None = None
        self._end: Ending | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()

    def left_out(self, task_id: str) -> bool:
        return task_id in self._left_out

    def cancel_task(self, task_id: str) -> bool:
        """Cancel this task: the run's own, or one of its batch; the last of a batch ends the run. False for another."""
        parts = {task.task_id for task in self.task.tasks} if isinstance(self.task, Batch) else set()
        if task_id in parts:
            self._left_out.add(task_id)
        elif task_id != self.task.task_id:
            return False
        if not parts - self._left_out or task_id == self.task.task_id:
            self.cancel()
        return True

    def report(self, progress: Progress) -> None:
        with self._lock:
            if self._progress is not None:
                previews: dict[int, Preview] = {preview.index: preview for preview in self._progress.previews}
                previews.update((preview.index, preview) for preview in progress.previews)
                progress.previews = list(previews.values())
            self._progress = progress
            self._signal()

    def end(self, update: Ending) -> None:
        with self._lock:
            self._end = update
            self._signal()

    def follow(self, connection: socket.socket) -> Iterator[Message]:
        """Yield updates up to the terminal one, a Heartbeat after every silent second; raise HungUp."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.register(connection.fileno(), CLOSING_EVENTS)
        while True:
            events = dict(poller.poll(HEARTBEAT_SECONDS * 1000))
            if connection.fileno() in events:
                raise HungUp
            progress, end = self._take()
            if progress is not None:
                yield progress
            if end is not None:
                yield end
                return
            if progress is None:
                yield Heartbeat()

    def close(self) -> None:
        """Give the eventfd back; the engine may still report."""
        with self._lock:
            os.close(self._wake)
            self._wake = -1

    def _take(self) -> tuple[Progress | None, Ending | None]:
        with self._lock:
            try:
                os.eventfd_read(self._wake)
            except BlockingIOError:
                pass
            progress, self._progress = self._progress, None
            return progress, self._end

    def _signal(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)


# ── the worker ────────────────────────────────────────────────────────────────


class Worker:
    """Owns the phase, the engine and the run under way. Methods say on which thread they run."""

    def __init__(self, engine_name: str, model_path: Path, options: Options) -> None:
        self.engine_name = engine_name
        self._model_path = model_path
        self._options = options
        self._changed = threading.Condition()
        self._phase = WorkerPhase.LOADING
        self._engine: Engine | None = None
        self._tasks: tuple[type, ...] = ()
        self._run: TaskRun | None = None
        self._load_seconds: float | None = None
        self._failure: Failed | None = None
        self._error_read = threading.Event()
        self._stopping = False
        self._executing = False  # written and read on the main thread only
        self._is_parked = False
        self._memory = (0.0, (0, 0))
        self._peak = PeakMemory()
        self._load_peak = 0

    # main thread

    def work(self) -> int:
        """Load, then run tasks until SIGTERM. Returns the exit status."""
        try:
            self._load()
            while (run := self._next_run()) is not None:
                self._executing = True
                self._execute(run)
                self._executing = False
            return 0
        except LoadFailed as error:
            print(f"load failed: {error}", file=sys.stderr, flush=True)
            with self._changed:
                self._phase, self._failure = WorkerPhase.FAILED, error.as_update()
            self._error_read.wait(FAILED_LINGER_SECONDS)
            time.sleep(0.05)  # the answer that carries the reason is on its way
            return LOAD_FAILED_STATUS

    def stop(self, *_signal_arguments: object) -> None:
        """SIGTERM: leave at once unless a run is under way, which is then cancelled first."""
        self._stopping = True
        run = self._run
        if run is not None:
            run.cancel()
        elif (
            not self._executing
        ):  # between a run's last step and its last line there is nothing to cancel and no time lost
            raise SystemExit(0)

    def close(self) -> None:
        """End what the engine started."""
        if isinstance(self._engine, Closable):
            self._engine.close()

    def _load(self) -> None:
        started = time.monotonic()
        self._peak.reset()
        try:
            module = engine_module(self.engine_name)
            self._tasks = module.TASKS
            engine = module.load(self._model_path, self._options)
        except LoadFailed:
            raise
        except MemoryError as error:
            raise LoadFailed(
                "out_of_memory", "the model does not fit into memory", "Free memory or take a smaller model."
            ) from error
        except Exception as error:  # the loop edge: whatever a library raises, the server gets a reason
            traceback.print_exc()
            raise LoadFailed(
                "load_failed",
                f"{type(error).__name__}: {_first_line(error)}",
                "The worker's log has the details.",
                sentence="load_failed_by",
                reason=f"{type(error).__name__}: {_first_line(error)}",
            ) from error
        peak = getattr(engine, "load_peak_bytes", 0) or self._peak.read()
        with self._changed:
            self._engine = engine
            self._load_peak = peak
            self._load_seconds = time.monotonic() - started
            self._phase = WorkerPhase.READY

    def _next_run(self) -> TaskRun | None:
        with self._changed:
            while self._run is None and not self._stopping:
                self._changed.wait()
            return self._run

    def _execute(self, run: TaskRun) -> None:
        was_parked = self._is_parked
        update = self._result(run)
        self._is_parked = isinstance(update, Parked) or (was_parked and not isinstance(update, Awake))
        with self._changed:  # ready before the last line is out: whoever reads it may start the next run
            self._run = None
            self._phase = WorkerPhase.PARKED if self._is_parked else WorkerPhase.READY
        run.end(update)
        if self._stopping:
            time.sleep(0.1)  # the terminal line is on its way

    def _result(self, run: TaskRun) -> Ending:
        assert self._engine is not None
        started = time.monotonic()
        self._peak.reset()
        try:
            if run.cancelled:
                return Cancelled()
            update = self._do(run)
        except RunCancelled:
            return Cancelled()
        except RunFailed as error:
            update = error.as_update()
        except MemoryError:
            update = Failed(
                code="out_of_memory", message="the machine is out of memory", hint="Ask for smaller or fewer pictures."
            )
        except Exception as error:  # the loop edge: a run never ends the worker
            traceback.print_exc()
            return Failed(
                code="internal_error",
                message=f"{type(error).__name__}: {_first_line(error)}",
                hint="The worker's log has the details.",
                params={"reason": f"{type(error).__name__}: {_first_line(error)}"},
            )
        if isinstance(update, Done | BatchDone | Failed) and not update.peak_bytes:
            update.peak_bytes = self._peak.read()
        if isinstance(update, Done | BatchDone | Parked | Awake) and not update.seconds:
            update.seconds = round(time.monotonic() - started, 4)
        return update

    def _do(self, run: TaskRun) -> Ending:
        assert self._engine is not None
        if not isinstance(run.task, Park | Wake):
            return self._engine.run(run.task, run)
        assert isinstance(self._engine, Parkable)
        if isinstance(run.task, Park):
            return self._engine.park()
        if self._is_parked:
            self._engine.wake()
        return Awake()

    # connection threads

    def begin(self, body: bytes) -> TaskRun:
        """Start the run that `body` describes. Raises Refused."""
        try:
            task = task_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, "invalid_task", f"the task cannot be read: {error}") from error
        with self._changed:
            if self._phase is WorkerPhase.BUSY:
                raise Refused(409, "busy", "another run is under way; this worker runs one at a time")
            asleep = self._phase is WorkerPhase.PARKED and isinstance(task, Park | Wake)
            if not (self._phase is WorkerPhase.READY or asleep) or self._stopping:
                raise Refused(503, "not_ready", f"the worker is {'stopping' if self._stopping else self._phase.value}")
            parks = isinstance(task, Park | Wake) and isinstance(self._engine, Parkable)
            if not (isinstance(task, self._tasks) or parks):
                raise Refused(400, "invalid_task", f"{self.engine_name} does not run {type(task).__name__}")
            self._run = TaskRun(task)
            self._phase = WorkerPhase.BUSY
            self._changed.notify_all()
            return self._run

    def cancel(self, body: bytes) -> bool:
        """Cancel the run of that task. Returns False when it is not the one under way. Raises Refused."""
        try:
            task_id = cancel_decoder.decode(body).task_id
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, "invalid_cancel", f"the cancel cannot be read: {error}") from error
        with self._changed:
            return self._run is not None and self._run.cancel_task(task_id)

    def health(self) -> Health:
        rss, private = self._measured_memory()
        with self._changed:
            if self._failure is not None:
                self._error_read.set()
            return Health(
                phase=self._phase,
                pid=os.getpid(),
                engine=self.engine_name,
                load_seconds=self._load_seconds,
                weights_bytes=self._engine.weights_bytes if self._engine else 0,
                rss=rss,
                private_bytes=private,
                load_peak_bytes=self._load_peak,
                can_park=isinstance(self._engine, Parkable) if self._engine else False,
                serves_openai=getattr(self._engine, "serves_openai", False),
                device=self._engine.device if self._engine else "cpu",
                failure=self._failure,
                left_out=getattr(self._engine, "left_out", []),
                attention=getattr(self._engine, "attention", None),
            )

    def _measured_memory(self) -> tuple[int, int]:
        """The kernel walks every page for these figures, so at most once a second, and not while starting."""
        taken, figures = self._memory
        if self._phase is not WorkerPhase.LOADING and time.monotonic() - taken > 1.0:
            figures = lifeline.memory_bytes()
            self._memory = (time.monotonic(), figures)
        return figures


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


# ── HTTP ──────────────────────────────────────────────────────────────────────


class Handler(BaseHTTPRequestHandler):
    """One connection. The server closes it after every answer: a local connect costs less than keeping state."""

    protocol_version = "HTTP/1.1"
    server_version = "atelier-worker"
    sys_version = ""
    timeout = READ_TIMEOUT_SECONDS
    server: Listener

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, msgspec.json.encode(self.server.worker.health()))
        else:
            self._refuse(self._wrong_path("POST"))

    def do_POST(self) -> None:
        try:
            if self.path == "/run":
                self._run(self.server.worker.begin(self._body()))
            elif self.path == "/cancel":
                self._answer(200, json.dumps({"cancelled": self.server.worker.cancel(self._body())}).encode())
            else:
                raise self._wrong_path("GET")
        except Refused as refused:
            self._refuse(refused)

    def _run(self, run: TaskRun) -> None:
        try:
            self._start(200, "application/x-ndjson")
            for update in run.follow(self.connection):
                self.wfile.write(encode_line(update))
        except (HungUp, OSError):
            run.cancel()  # gone, or not reading: nobody wants the pictures any more
        finally:
            run.close()

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            raise Refused(411, "length_required", "the request needs a Content-Length")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "invalid_length", "Content-Length is not a number of bytes")
        if int(length[:20]) > MAX_LINE_BYTES:
            raise Refused(413, "body_too_large", f"the body may have {MAX_LINE_BYTES} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "body_cut_short", "the body ended before its Content-Length")
        return body

    def _wrong_path(self, other_method: str) -> Refused:
        known = {"/health": "GET", "/run": "POST", "/cancel": "POST"}
        if known.get(self.path) == other_method:
            return Refused(405, "method_not_allowed", f"{self.path} takes {other_method}")
        return Refused(404, "not_found", "a worker has /health, /run and /cancel")

    def _refuse(self, refused: Refused) -> None:
        self._answer(refused.status, json.dumps({"code": refused.code, "message": refused.message}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self._start(status, "application/json", len(body))
            self.wfile.write(body)
        except OSError:
            pass  # the caller has gone

    def _start(self, status: int, content_type: str, length: int | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the server polls."""


class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The socket: mode 0600, callers of our own user only, a bounded number of connections."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, path: Path, worker: Worker) -> None:
        self.worker = worker
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._path = path
        # Bound and listening under another name first: whoever finds the socket can connect to it.
        early = path.with_name(path.name + ".new")
        early.unlink(missing_ok=True)
        super().__init__(str(early), Handler)
        os.chmod(early, 0o600)
        os.rename(early, path)

    def verify_request(self, request: socket.socket, client_address: object) -> bool:
        credentials = request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3i", credentials)
        return uid == os.geteuid()

    def process_request(self, request: socket.socket, client_address: object) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


# ── the process ───────────────────────────────────────────────────────────────


def serve(engine: str, model_path: Path, socket_path: Path, options: Options) -> int:
    """Be a worker until SIGTERM; returns the exit status. Call on the main thread of a process of its own."""
    os.umask(0o077)
    faulthandler.enable()
    options = {**options, OPENAI_SOCKET: str(socket_path.with_suffix(OPENAI_SUFFIX))}
    worker = Worker(engine, model_path, options)
    listener = Listener(socket_path, worker)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the server, which then ends its workers in order
    threading.Thread(target=listener.serve_forever, name="listener", daemon=True).start()
    try:
        return worker.work()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        worker.close()
        listener.remove()


def leave(status: int) -> None:
    """End the process without the interpreter's clean-up: unloading object by object takes seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.host", description="Serve one model on a Unix socket.")
    parser.add_argument("engine", help="a module of this package, such as diffusers_image")
    parser.add_argument("--model-path", required=True, type=engine_path)
    parser.add_argument("--socket", required=True, type=engine_path)
    parser.add_argument("--options", default="{}", type=json.loads, help="the engine's load options, a JSON object")
    parser.add_argument(
        "--death", type=int, metavar="FD", help="end with the process that holds the other end of this pipe"
    )
    given = parser.parse_args(arguments)
    if given.death is not None:
        parent = os.getppid()
        if os.getpid() != os.getpgrp():
            os.setsid()
        lifeline.die_with_parent(parent)
        lifeline.watch_death_pipe(given.death)
        lifeline.volunteer_for_oom_killer()
    leave(serve(given.engine, given.model_path, given.socket, given.options))


if __name__ == "__main__":
    main()
