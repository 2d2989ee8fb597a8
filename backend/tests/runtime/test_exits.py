"""Exit codes, signals and last lines become words."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from atelier.errors import WorkerDied
from atelier.runtime import exits, processes
from atelier.runtime.exits import WorkerLost, classify

TABLE = [
    # code, signal, last lines, phase -> code, words
    (None, signal.SIGKILL, [], "busy", "killed", "killed from outside during a run, most likely because"),
    (None, signal.SIGSEGV, [], "loading", "segfault", "(segmentation fault) while it loaded the model"),
    (None, signal.SIGABRT, [], "ready", "aborted", "while it was idle"),
    (None, signal.SIGBUS, [], "busy", "bus_error", "/dev/shm"),
    (None, signal.SIGILL, [], "loading", "illegal_instruction", "does not have"),
    (None, signal.SIGTERM, [], "busy", "terminated", "asked to end"),
    (None, signal.SIGUSR1, [], "busy", "signal", "SIGUSR1"),
    (None, 64, [], "busy", "signal", "SIGRTMAX"),
    (None, 99, [], "busy", "signal", "signal 99"),
    (137, None, [], "busy", "killed", "killed from outside"),
    (3, None, [], "busy", "exit_code", "exit code 3 during a run"),
    (0, None, [], "busy", "ended", "without an error"),
    (None, None, [], "busy", "vanished", "is gone"),
    (1, None, ["torch.OutOfMemoryError: CUDA out of memory. Tried"], "busy", "gpu_out_of_memory", "GPU memory"),
    (None, signal.SIGABRT, ["terminate called after throwing an instance of 'std::bad_alloc'"], "busy",
     "out_of_memory", "ran out of memory during a run"),
    (1, None, ["MemoryError"], "loading", "out_of_memory", "while it loaded"),
    (1, None, ["RuntimeError: DefaultCPUAllocator: can't allocate memory"], "busy", "out_of_memory", "memory"),
    (1, None, ["OSError: [Errno 28] No space left on device"], "busy", "disk_full", "disk is full"),
    (1, None, ["safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge"], "loading",
     "model_damaged", "damaged"),
    (1, None, ["ModuleNotFoundError: No module named 'diffusers'"], "starting", "import_failed", "imported"),
    (1, None, ["ImportError: libcudnn.so.9: cannot open shared object file"], "starting", "import_failed", "imported"),
    (1, None, ["RuntimeError: CUDA error: an illegal memory access was encountered"], "busy", "gpu_error", "driver"),
    (1, None, ["FileNotFoundError: [Errno 2] No such file: 'model.safetensors'"], "loading", "file_missing", "missing"),
    (1, None, ["PermissionError: [Errno 13]"], "loading", "permission_denied", "may not read"),
    (1, None, ["OSError: [Errno 24] Too many open files"], "busy", "too_many_files", "file descriptors"),
    (1, None, ["RuntimeError: can't start new thread"], "busy", "too_many_processes", "processes or threads"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "number", "tail", "phase", "expected", "words"), TABLE)
def test_table(code: int | None, number: int | None, tail: list[str], phase: str, expected: str, words: str) -> None:
    cause = classify(code, number, tail, phase)
    assert cause.code == expected
    assert words in cause.message
    assert cause.message.endswith(".") and cause.hint.endswith((".", ")."))
    assert cause.crash


def test_the_last_complaint_counts() -> None:
    tail = ["MemoryError", "handled", "OSError: [Errno 28] No space left on device", "goodbye"]
    assert classify(1, None, tail, "busy").code == "disk_full"


def test_harmless_lines_are_no_complaint() -> None:
    tail = ["using 8 GB of memory", "CUDA 12.8 found", "0 errors", "loaded in 3 s"]
    assert classify(None, signal.SIGSEGV, tail, "busy").code == "segfault"


@pytest.mark.parametrize(
    "cause",
    [
        exits.silent(15),
        exits.stuck(900),
        exits.nonsense("x"),
        exits.start_too_slow(2, "loading"),
        exits.forkserver_lost(),
    ],
)
def test_ends_that_the_process_caused_are_crashes(cause: exits.ExitCause) -> None:
    assert cause.crash and cause.message.endswith(".")


@pytest.mark.parametrize("cause", [exits.stopped(), exits.cancel_ignored(3)])
def test_ends_that_somebody_asked_for_are_none(cause: exits.ExitCause) -> None:
    assert not cause.crash and cause.message.endswith(".")


@pytest.mark.parametrize(
    ("cause", "kills", "expected"),
    [
        (classify(1, None, ["torch.OutOfMemoryError: CUDA out of memory."], "loading"), 0, True),
        (classify(1, None, ["MemoryError"], "loading"), 0, True),
        (classify(None, signal.SIGKILL, [], "loading"), 1, True),
        (classify(None, signal.SIGKILL, [], "loading"), 0, False),
        (classify(None, signal.SIGSEGV, [], "loading"), 1, False),
    ],
)
def test_a_kill_is_for_want_of_memory_when_the_kernel_counted_it(
    cause: exits.ExitCause, kills: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    (tmp_path / "vmstat").write_text(f"pgfault 12\noom_kill {7 + kills}\n")
    assert exits.for_want_of_memory(cause, 7) is expected


def test_a_lost_worker_carries_its_cause() -> None:
    cause = classify(None, signal.SIGSEGV, [], "busy")
    error = WorkerLost(cause, "last line")
    assert isinstance(error, WorkerDied) and error.status == 503 and error.code == "worker_died"
    assert (error.cause, error.message, error.hint, error.log_tail) == (cause, cause.message, cause.hint, "last line")
