"""Why a process ended, in words for a person, and what to do next.

`classify` is pure: the exit code or signal, the last lines of the log and the phase go in, a cause comes out. The last
lines are looked at first, because a library's own complaint says more than the signal that followed it.
"""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Sequence
from dataclasses import dataclass, replace

from atelier.errors import WorkerDied
from atelier.runtime import processes
from atelier.said import Said, Value


@dataclass(frozen=True)
class ExitCause:
    """`code` is a stable word; `crash` says that the process, not the request's author, ended it. A `message` of this
    module is the sentence `worker.<code>`."""

    code: str
    message: str
    hint: str = ""
    crash: bool = True


class WorkerLost(WorkerDied):
    """A `WorkerDied` that knows its cause."""

    def __init__(self, cause: ExitCause, log_tail: str | None = None) -> None:
        super().__init__(cause.message, hint=cause.hint, log_tail=log_tail)
        self.cause = cause
        self.crash = cause.crash


SMALLER = "Ask for less at once, stop another worker, or raise the memory budget."
LOG = "The worker's last lines say more."

# (words in the log, code, message, hint). First match from the last line upwards wins; a line is tried on all rows.
COMPLAINTS: tuple[tuple[re.Pattern[str], str, str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), code, message, hint)
    for pattern, code, message, hint in (
        (
            r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|hipErrorOutOfMemory",
            "gpu_out_of_memory",
            "The worker ran out of GPU memory.",
            SMALLER,
        ),
        (
            r"\bMemoryError\b|Cannot allocate memory|DefaultCPUAllocator: (can't|not enough)|std::bad_alloc",
            "out_of_memory",
            "The worker ran out of memory.",
            SMALLER,
        ),
        (
            r"No space left on device|\[Errno 28\]|Disk quota exceeded",
            "disk_full",
            "The disk is full.",
            "Free some space in the data folder, then try again.",
        ),
        (
            r"SafetensorError|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer|header too (large|small)",
            "model_damaged",
            "The model's files are damaged: a safetensors file cannot be read.",
            "Download or copy the model again.",
        ),
        (
            r"ModuleNotFoundError|ImportError|cannot open shared object file|undefined symbol",
            "import_failed",
            "A library of the engine cannot be imported.",
            "Build the engine's environment again.",
        ),
        (
            r"CUDA driver version is insufficient|no CUDA-capable device|CUDA error: (?!out of memory)|Xid",
            "gpu_error",
            "The GPU or its driver reported an error.",
            "Look at the driver with nvidia-smi; a restart of the machine may be needed.",
        ),
        (
            r"FileNotFoundError|does not appear to have a file named|Error no file named",
            "file_missing",
            "A file of the model is missing.",
            "Download or copy the model again.",
        ),
        (r"PermissionError|\[Errno 13\]", "permission_denied", "The worker may not read or write a file it needs.",
         "Check who owns the data and model folders."),
        (r"Too many open files|\[Errno 24\]", "too_many_files", "The worker ran out of file descriptors.",
         "Raise the limit (ulimit -n) and start again."),
        (r"Resource temporarily unavailable|can't start new thread", "too_many_processes",
         "The worker may start no more processes or threads.", "Raise the limit (ulimit -u) and start again."),
    )
)  # fmt: skip

SIGNALS: dict[int, tuple[str, str, str]] = {
    signals.SIGKILL: (
        "killed",
        "The worker was killed from outside, most likely because the machine ran out of memory.",
        SMALLER,
    ),
    signals.SIGSEGV: ("segfault", "The worker crashed in native code (segmentation fault).", LOG),
    signals.SIGBUS: (
        "bus_error",
        "The worker crashed while reading a mapped file (bus error): a file shrank, or the disk or /dev/shm is full.",
        "Check the disk and the model's files.",
    ),
    signals.SIGABRT: ("aborted", "The worker gave up by itself (abort).", LOG),
    signals.SIGILL: (
        "illegal_instruction",
        "The worker met an instruction that this processor does not have.",
        "The engine's libraries were built for a newer processor.",
    ),
    signals.SIGFPE: ("arithmetic", "The worker crashed on an arithmetic error in native code.", LOG),
    signals.SIGXCPU: ("cpu_limit", "The worker used up its limit of processor time.", "Raise the limit (ulimit -t)."),
    signals.SIGXFSZ: ("file_limit", "The worker wrote a file larger than allowed.", "Raise the limit (ulimit -f)."),
    signals.SIGTERM: ("terminated", "The worker was asked to end from outside.", "Start the job again."),
    signals.SIGINT: ("terminated", "The worker was asked to end from outside.", "Start the job again."),
    signals.SIGHUP: ("terminated", "The worker was asked to end from outside.", "Start the job again."),
}

OUT_OF_MEMORY = frozenset({"gpu_out_of_memory", "out_of_memory"})
"""Causes that say that memory ran out. `killed` says so only when the kernel counted it."""

WHILE = {
    "starting": "while it started",
    "loading": "while it loaded the model",
    "busy": "during a run",
    "ready": "while it was idle",
    "parked": "while it was parked",
}


def classify(code: int | None, signal: int | None, tail: Sequence[str], phase: str) -> ExitCause:
    """The cause of an end that nobody asked for. `phase` is the worker's state then; `tail` its last log lines."""
    found = _complaint(tail)
    if found is not None:
        return _cause(found.code, found.message, found.hint, phase)
    if signal is not None:
        return _by_signal(signal, phase)
    if code is not None and code > 128 and code - 128 in SIGNALS:
        return _by_signal(code - 128, phase)
    if code == 0:
        return _cause("ended", "The worker ended by itself, without an error.", LOG, phase)
    if code is None:
        return _cause("vanished", "The worker's process is gone.", LOG, phase)
    return _cause("exit_code", f"The worker ended with exit code {code}.", LOG, phase, status=code)


def for_want_of_memory(cause: ExitCause, kills_before: int) -> bool:
    """Whether memory ran out. `kills_before`: what `processes.oom_kills` said before what failed began."""
    by_kernel = cause.code == "killed" and processes.oom_kills() > kills_before
    return by_kernel or cause.code in OUT_OF_MEMORY


def silent(seconds: float) -> ExitCause:
    return _cause(
        "silent",
        f"The worker said nothing for {seconds:g} seconds and was ended.",
        "If it happens again with the same request, the engine hangs on it: change the request.",
        seconds=seconds,
    )


def stuck(seconds: float) -> ExitCause:
    return _cause(
        "stuck",
        f"The worker made no step for {seconds:g} seconds and was ended.",
        "If it happens again with the same request, the engine hangs on it: ask for a smaller size or fewer at once.",
        seconds=seconds,
    )


def nonsense(what: str) -> ExitCause:
    return _cause("nonsense", f"The worker spoke nonsense ({what}) and was ended.", LOG, what=what)


def hung_up() -> ExitCause:
    return replace(_cause("hung_up", "The worker closed the connection before it had answered.", LOG), crash=False)


def start_too_slow(seconds: float, phase: str) -> ExitCause:
    return _cause(
        "start_deadline",
        f"The worker was not ready within {seconds:g} seconds and was ended.",
        "A slow disk or a busy machine can be the reason; try again.",
        phase,
        seconds=seconds,
    )


def cancel_ignored(seconds: float) -> ExitCause:
    words = f"The worker ignored a cancel for {seconds:g} seconds and was ended."
    return replace(_cause("cancel_ignored", words, seconds=seconds), crash=False)


def not_woken(why: str) -> ExitCause:
    words = f"The parked worker could not be woken: {why}."
    return replace(_cause("not_woken", words, "It is started anew.", why=why), crash=False)


def not_parked() -> ExitCause:
    return replace(_cause("not_parked", "The worker could not be parked and was ended.", LOG), crash=False)


def stopped() -> ExitCause:
    return replace(_cause("stopped", "The worker was stopped."), crash=False)


def forkserver_lost() -> ExitCause:
    return _cause("forkserver_lost", "The process that started this worker ended, and the worker with it.", LOG)


def mistake() -> ExitCause:
    return _cause("internal_error", "The server made a mistake with this worker.")


def _complaint(tail: Sequence[str]) -> ExitCause | None:
    for line in reversed(tail):
        for pattern, code, message, hint in COMPLAINTS:
            if pattern.search(line):
                return ExitCause(code, message, hint)
    return None


def _by_signal(number: int, phase: str) -> ExitCause:
    if number in SIGNALS:
        return _cause(*SIGNALS[number], phase)
    try:
        name = signals.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return _cause("signal", f"The worker was ended by {name}.", LOG, phase, name=name)


def _cause(code: str, message: str, hint: str = "", phase: str = "", **values: Value) -> ExitCause:
    """A cause whose message is a sentence. What it was doing (`phase`) stands in the English and among the values."""
    place = WHILE.get(phase)
    if place is not None:
        values["phase"] = phase
    return ExitCause(code, Said(_placed(message, place), f"worker.{code}", **values), hint)


def _placed(message: str, place: str | None) -> str:
    """`The worker ran out of memory.` -> `The worker ran out of memory while it loaded the model.`"""
    if place is None:
        return message
    end = re.search(r"[,.:]", message)
    if end is None:
        return f"{message} {place}"
    return f"{message[: end.start()]} {place}{message[end.start() :]}"
