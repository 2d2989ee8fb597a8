"""What an engine module offers to the host, and what the host offers to an engine.

An engine is one module of this package, named after its library and verb. It defines

    TASKS: tuple[type[protocol.Message], ...]       the tasks it runs
    preload() -> None                               import everything a worker needs; starts no thread, touches no GPU
    load(model_path, options) -> Engine             the weights; raises LoadFailed

and the engine object runs one task at a time on the process's main thread. An engine that can put its weights aside and
bring them back has `park` and `wake` (`Parkable`).

Chat engines run no task: `load` starts their library's own OpenAI server on the socket that the option `openai_socket`
names (`engines.openai_child`), and the engine object says `serves_openai` and has `close` (`Closable`).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol, Self, runtime_checkable

from engines.protocol import BatchDone, Cancelled, Done, Failed, Message, Parked, Progress

Options = Mapping[str, str | int | float | bool]
"""A model's load options. Every engine documents its own; unknown keys are ignored."""


OPENAI_SOCKET = "openai_socket"
"""The option that the host adds for every engine: where it may serve OpenAI's API."""


class EngineError(Exception):
    """`code` is stable, `hint` says what a person can do. `sentence` and `params`: see `protocol.Failed`."""

    def __init__(
        self, code: str, message: str, hint: str = "", *, sentence: str = "", **params: str | int | float
    ) -> None:
        super().__init__(message)
        self.code, self.hint, self.sentence, self.params = code, hint, sentence, params

    @classmethod
    def of(cls, update: Failed) -> Self:
        """The error that an update tells of, to be raised again on this side of a pipe."""
        return cls(update.code, update.message, update.hint, sentence=update.sentence, **update.params)

    def as_update(self) -> Failed:
        return Failed(
            code=self.code, message=str(self.args[0]), hint=self.hint, sentence=self.sentence, params=self.params
        )


class LoadFailed(EngineError):
    """The model cannot be loaded."""

    def __str__(self) -> str:
        text = f"{self.code}: {self.args[0]}"
        return f"{text} ({self.hint})" if self.hint else text


class RunFailed(EngineError):
    """Raised inside a run: the run ends with `Failed`, the worker lives on."""


class RunCancelled(Exception):
    """Raised inside a run, between two steps, once `Run.cancelled` is true: the run ends with `Cancelled`."""


class Run(Protocol):
    """The host's side of one run, as an engine sees it. All may be used from any thread."""

    @property
    def cancelled(self) -> bool:
        """True once the run is to end at its next step."""

    def left_out(self, task_id: str) -> bool:
        """True once this task of a batch was cancelled: nothing of it is to be written any more."""

    def report(self, progress: Progress) -> None:
        """Hand over progress; never blocks. A slow reader sees the newest step and newest preview of each picture."""


class Engine(Protocol):
    """A loaded model. `device` is "cpu" or "cuda"; `weights_bytes` counts parameters and buffers."""

    device: str
    weights_bytes: int

    def run(self, task: Message, run: Run) -> Done | BatchDone | Failed | Cancelled:
        """Run one task to its end. May raise RunFailed and RunCancelled; anything else becomes `internal_error`."""


@runtime_checkable
class Parkable(Protocol):
    """An engine that can be parked. Both run on the main thread, between runs."""

    def park(self) -> Parked:
        """Put the weights aside; what stays is said in the answer."""

    def wake(self) -> None:
        """Bring the weights back. Raises RunFailed when there is no room for them; it is parked then."""


@runtime_checkable
class Closable(Protocol):
    """An engine that started something."""

    def close(self) -> None:
        """End it, within three seconds; called once, before the process ends."""


def engine_module(name: str) -> ModuleType:
    """Import `engines.NAME`. Raises LoadFailed for a name that is no engine of this package."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise LoadFailed("unknown_engine", f"{name!r} is not the name of an engine", name=name)
    try:
        module = importlib.import_module(f"engines.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"engines.{name}":
            raise LoadFailed(
                "missing_library",
                f"the environment lacks {error.name!r}",
                "Build the environment again.",
                library=str(error.name),
            ) from error
        raise LoadFailed("unknown_engine", f"there is no engine named {name!r}", name=name) from error
    if not (hasattr(module, "load") and hasattr(module, "TASKS")):
        raise LoadFailed("unknown_engine", f"engines.{name} is not an engine", name=name)
    return module


def engine_path(path: str | Path) -> Path:
    """An absolute model folder from a message or the command line."""
    return Path(path).expanduser().absolute()
