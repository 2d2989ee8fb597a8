"""One piece of work in a forked child that may take so much memory and time and no more. Linux only.

For work on what strangers sent: a decoder that crashes, hangs or swells takes this child with it and nothing else. The
child answers with `Done` or `Failed` over a pipe and leaves by `os._exit`. It is forked on the worker's main thread and
dies with it (see `lifeline`); of the worker's open files it keeps standard output and the pipe.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from engines import lifeline
from engines.engine import RunCancelled, RunFailed
from engines.protocol import Done, Failed, encode_line

MIB = 1024**2
LOOK_SECONDS = 0.1
_decoder = msgspec.json.Decoder(Done | Failed)
MAX_ANSWER_BYTES = 4 * MIB


@dataclass(frozen=True)
class Limits:
    """`memory_bytes` of address space beyond what the worker has already, `cpu_seconds`, `seconds` by the clock, and
    how large a file may become."""

    memory_bytes: int = 464 * MIB
    cpu_seconds: int = 20
    seconds: float = 60.0
    file_bytes: int = 256 * MIB


def answer_of(work: Callable[[], dict[str, Any]], limits: Limits, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """What `work` answers, run in a child. Raises what it raised of RunFailed, RunFailed when it died or took too long
    or too much, RunCancelled."""
    read, write = os.pipe()
    parent = os.getpid()
    space = _address_space() + limits.memory_bytes
    pid = os.fork()
    if pid == 0:
        _be_child(work, limits, parent, write, space)  # never returns
    os.close(write)
    try:
        said = _listen(read, limits.seconds, cancelled)
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        _, status = os.waitpid(pid, 0)
    return _understood(said, status)


def _listen(read: int, seconds: float, cancelled: Callable[[], bool]) -> bytes:
    """Everything that the child says until it closes the pipe."""
    deadline, said = time.monotonic() + seconds, bytearray()
    while True:
        if cancelled():
            raise RunCancelled
        if time.monotonic() > deadline:
            raise _took_too_long()
        if not select.select([read], [], [], LOOK_SECONDS)[0]:
            continue
        part = os.read(read, 1 << 16)
        if not part or len(said) > MAX_ANSWER_BYTES:
            return bytes(said)
        said += part


def _understood(said: bytes, status: int) -> dict[str, Any]:
    if said:
        try:
            outcome = _decoder.decode(said)
        except msgspec.DecodeError:  # it was ended while it spoke
            outcome = None
        if isinstance(outcome, Failed):
            raise RunFailed.of(outcome)
        if outcome is not None:
            return outcome.answer
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        raise _took_too_long()
    raise RunFailed(
        "picture_unreadable",
        "The picture cannot be read: it is damaged, or made to do damage.",
        "Open it in a picture editor, save it anew and try again.",
    )


def _took_too_long() -> RunFailed:
    return RunFailed(
        "picture_slow",
        "The picture takes too long to be read.",
        "Save it anew as a plain PNG or JPEG, or make it smaller.",
    )


# ── the child ─────────────────────────────────────────────────────────────────


def _be_child(work: Callable[[], dict[str, Any]], limits: Limits, parent: int, write: int, space: int) -> None:
    """Cut every tie to the worker, take on the limits, work, answer. Leaves by os._exit whatever happens."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        lifeline.die_with_parent(parent)
        os.dup2(write, 3)
        os.closerange(4, 1 << 16)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        # At the first the kernel says which limit it was (SIGXCPU), at the second it only kills.
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
        _say(_outcome(work))
        status = 0
    except BaseException as error:  # the edge of the process: nothing may unwind into the worker's frames
        sys.stderr.write(f"picture child: {type(error).__name__}\n")
        sys.stderr.flush()
    finally:
        os._exit(status)


def _outcome(work: Callable[[], dict[str, Any]]) -> Done | Failed:
    try:
        return Done(answer=work())
    except RunFailed as error:
        return error.as_update()
    except MemoryError:
        return RunFailed(
            "picture_memory",
            "The picture takes more memory to be read than is given to one.",
            "Save it as a PNG or JPEG, or make it smaller.",
        ).as_update()
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        return RunFailed(
            "insufficient_storage",
            "There is no room on the server's disk for the picture.",
            "Free some space, then try again.",
            sentence="picture_no_room",
        ).as_update()


def _say(outcome: Done | Failed) -> None:
    left = memoryview(encode_line(outcome))
    while left:
        left = left[os.write(3, left) :]


def _address_space() -> int:
    """Bytes of address space that this process has, reserved ones included: what RLIMIT_AS counts."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
