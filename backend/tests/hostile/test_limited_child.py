"""A child that does what it may not ends alone, and somebody says why."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from engines.engine import RunCancelled, RunFailed
from engines.limited_child import MIB, Limits, answer_of

LIMITS = Limits(memory_bytes=128 * MIB, cpu_seconds=1, seconds=3.0, file_bytes=MIB)


def ask(work: Callable[[], dict[str, Any]], **more: Any) -> dict[str, Any]:
    return answer_of(work, LIMITS, more.get("cancelled", lambda: False))


def spin() -> dict[str, Any]:
    while True:
        pass


def sleep() -> dict[str, Any]:
    time.sleep(60)
    return {}


def swell() -> dict[str, Any]:
    return {"size": len(bytearray(256 * MIB))}


def abort() -> dict[str, Any]:
    os.abort()


def fall_over() -> dict[str, Any]:
    raise ValueError("not foreseen")


def refuse() -> dict[str, Any]:
    raise RunFailed("picture_format", "no", "Do better.", sentence="other", width=3)


def test_it_answers() -> None:
    assert ask(lambda: {"pid": os.getpid(), "fds": sorted(os.listdir("/proc/self/fd"))})["pid"] != os.getpid()
    files = ask(lambda: {"fds": [os.path.realpath(f"/proc/self/fd/{n}") for n in range(4, 64)]})["fds"]
    assert not any(Path(name).exists() for name in files), "it keeps nothing of its parent's open files"
    assert len(ask(lambda: {"text": "x" * MIB})["text"]) == MIB


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (sleep, "picture_slow"),
        (swell, "picture_memory"),
        (abort, "picture_unreadable"),
        (fall_over, "picture_unreadable"),
        (refuse, "picture_format"),
        (lambda: os._exit(0), "picture_unreadable"),
        (lambda: {"text": "x" * 5 * MIB}, "picture_unreadable"),
    ],
)
def test_it_ends_alone(work: Callable[[], dict[str, Any]], code: str) -> None:
    with pytest.raises(RunFailed) as caught:
        ask(work)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    assert [one for one in psutil.Process().children() if one.status() == psutil.STATUS_ZOMBIE] == []


def test_the_processor_has_a_limit_of_its_own() -> None:
    with pytest.raises(RunFailed) as caught:
        answer_of(spin, Limits(cpu_seconds=1, seconds=120.0), lambda: False)
    assert caught.value.code == "picture_slow"


def test_what_it_said_comes_through() -> None:
    with pytest.raises(RunFailed) as caught:
        ask(refuse)
    assert (caught.value.sentence, caught.value.params) == ("other", {"width": 3})


def test_a_file_may_not_grow_for_ever(tmp_path: Path) -> None:
    def write() -> dict[str, Any]:
        (tmp_path / "large").write_bytes(bytes(2 * MIB))
        return {}

    with pytest.raises(RunFailed) as caught:
        ask(write)
    assert (caught.value.code, caught.value.sentence) == ("insufficient_storage", "picture_no_room")


def test_it_is_cancelled() -> None:
    begun = time.monotonic()
    with pytest.raises(RunCancelled):
        ask(sleep, cancelled=lambda: time.monotonic() - begun > 0.2)
    assert time.monotonic() - begun < 3
