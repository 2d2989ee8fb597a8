"""A process with an engine's libraries imported, which forks workers in hundredths of a second instead of ten seconds.

    python -m engines.forkserver --preload engines.diffusers_image --control FD --death FD

`--control` is one end of a socketpair: `Spawn` lines in; `ForkserverReady` once, then `Spawned` and `Exited` out.
`--death` is the read end of a pipe whose write end only the server holds: at its end-of-file everything here ends.
A forkserver also ends when the control socket closes, and takes its workers with it.

What makes the fork safe: this process has one thread, holds no lock and no GPU context, and never runs a model. The
collector's generations are frozen before the first fork, so a worker's collections do not write to the shared pages.
Fork happens on the main thread, since PR_SET_PDEATHSIG speaks of the parent's *thread*.
"""

from __future__ import annotations

import os

# Before any library is imported: a BLAS or OpenMP pool started here would not survive the fork, a CUDA context neither.
# Workers set their own number of threads when they load a model.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # torch.cuda.is_available() asks NVML instead of creating a context

import argparse  # noqa: E402
import contextlib  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import selectors  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402

import msgspec  # noqa: E402

from engines import host, lifeline  # noqa: E402
from engines.protocol import (  # noqa: E402
    MAX_LINE_BYTES,
    Exited,
    ForkserverReady,
    Message,
    Spawn,
    Spawned,
    encode_line,
    spawn_decoder,
)

SPAWN_FAILED_STATUS = 71
"""Exit status of a child that could not become a worker (sysexits' EX_OSERR); its log says why."""


class Forkserver:
    """Reads Spawn lines, forks, reports. Owns the map of children."""

    def __init__(self, control: socket.socket, death_fd: int) -> None:
        self._pid = os.getpid()
        self._control = control
        self._death_fd = death_fd
        self._in_child_close: list[int] = []
        self._children: dict[int, str] = {}  # pid -> worker id
        self._received = b""
        self._skipping = False

    def serve(self, preload_seconds: float) -> None:
        """Run until the control socket or the death pipe closes; then end every child's group."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the selector through the pipe
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _exit_loop)
        self._in_child_close += [wake_read, wake_write]
        try:
            with selectors.DefaultSelector() as selector:
                for source in (self._control.fileno(), self._death_fd, wake_read):
                    selector.register(source, selectors.EVENT_READ)
                self._in_child_close.append(selector.fileno())
                self._send(
                    ForkserverReady(pid=os.getpid(), preload_seconds=preload_seconds, rss=lifeline.memory_bytes()[0])
                )
                while True:
                    ready = {key.fd for key, _ in selector.select()}
                    if wake_read in ready:
                        os.read(wake_read, 4096)
                    self._reap()
                    if self._death_fd in ready and os.read(self._death_fd, 1) == b"":
                        return
                    if self._control.fileno() in ready and not self._read_control():
                        return
        except (SystemExit, BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._end_children()

    # lines

    def _read_control(self) -> bool:
        """Handle what has arrived; False at end-of-file."""
        data = self._control.recv(1 << 16)
        if not data:
            return False
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line.strip():
                self._handle(line)
        if len(self._received) > MAX_LINE_BYTES:  # no Spawn is that long: forget it up to its end
            self._received, self._skipping = b"", True
        return True

    def _handle(self, line: bytes) -> None:
        try:
            spawn = spawn_decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            print(f"forkserver: ignored a line that is no Spawn: {error}", file=sys.stderr, flush=True)
            return
        try:
            pid = os.fork()
        except OSError as error:  # out of processes or memory: the server sees a worker that ended at once
            print(f"forkserver: cannot fork: {error}", file=sys.stderr, flush=True)
            self._send(Exited(worker_id=spawn.worker_id, pid=0, code=SPAWN_FAILED_STATUS))
            return
        if pid == 0:
            self._become_worker(spawn)  # never returns
        self._children[pid] = spawn.worker_id
        self._send(Spawned(worker_id=spawn.worker_id, pid=pid))

    def _send(self, message: Message) -> None:
        self._control.sendall(encode_line(message))

    # children

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker_id = self._children.pop(pid, None)
            if worker_id is not None:
                code, ended_by = (
                    (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)
                )
                self._send(Exited(worker_id=worker_id, pid=pid, code=code, signal=ended_by))

    def _end_children(self) -> None:
        """SIGKILL to each child's group: their own children would outlive the parent-death signal."""
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _become_worker(self, spawn: Spawn) -> None:
        """In the child: cut every tie to the forkserver, then be a worker. Leaves by os._exit whatever happens."""
        status = SPAWN_FAILED_STATUS
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            lifeline.die_with_parent(self._pid)
            self._control.close()
            for fd in self._in_child_close:
                os.close(fd)
            _redirect_output(spawn.log_path)
            lifeline.volunteer_for_oom_killer()
            lifeline.watch_death_pipe(self._death_fd)
            os.environ.update(spawn.env)
            status = host.serve(spawn.engine, Path(spawn.model_path), Path(spawn.socket_path), spawn.options)
        except BaseException:  # the edge of the process: an exception must not unwind into the forkserver's frames
            traceback.print_exc()
        finally:
            host.leave(status)


def _exit_loop(*_signal_arguments: object) -> None:
    raise SystemExit


def _redirect_output(log_path: str) -> None:
    """stdin from nothing, stdout and stderr appended to the log, unbuffered enough to be there after a crash."""
    os.umask(0o077)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)
    sys.stdout.reconfigure(line_buffering=True)


def preload(names: list[str]) -> None:
    """Import each module and call its `preload()`; then settle memory for sharing."""
    for name in names:
        module = importlib.import_module(name)
        if hasattr(module, "preload"):
            module.preload()
    gc.collect()
    gc.freeze()


def threads() -> int:
    """Threads of this process as the kernel counts them, Python's or not."""
    return len(os.listdir("/proc/self/task"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m engines.forkserver", description="Fork workers from a warm process."
    )
    parser.add_argument("--preload", action="append", default=[], metavar="MODULE")
    parser.add_argument("--control", required=True, type=int, metavar="FD")
    parser.add_argument("--death", required=True, type=int, metavar="FD")
    given = parser.parse_args(arguments)
    os.set_inheritable(given.control, False)
    os.set_inheritable(given.death, False)
    control = socket.socket(fileno=given.control)
    started = time.monotonic()
    preload(given.preload)
    if (
        threads() > 1
    ):  # a fork now could copy a lock that a thread holds: better no forkserver than one that hangs sometimes
        sys.exit(f"forkserver: the preloaded modules started {threads() - 1} threads; cannot fork safely")
    Forkserver(control, given.death).serve(time.monotonic() - started)


if __name__ == "__main__":
    main()
