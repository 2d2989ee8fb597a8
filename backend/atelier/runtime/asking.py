"""One question to an environment's Python: a short-lived process that prints a line of JSON and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import orjson

from atelier.config import own_variables
from atelier.runtime.variables import engine_environment

LAST_CHARACTERS = 600


class NoAnswer(Exception):
    """The process ended badly, said nothing that can be read, or took too long. Its words are for the user."""


async def ask(python: Path, module: str, *, instance: str, timeout: float) -> dict[str, Any]:
    """What `python -m module` prints. It carries the server's marks, so it never outlives the server by long."""
    process = await asyncio.create_subprocess_exec(
        python,
        "-m",
        module,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=engine_environment(own_variables(), instance, is_servers_own=False),
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            said, complaints = await process.communicate()
    except TimeoutError:
        raise NoAnswer(f"It did not answer within {timeout:.0f} s.") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    try:
        answer = orjson.loads(said.strip().rpartition(b"\n")[2])
    except orjson.JSONDecodeError:
        answer = None
    if process.returncode != 0 or not isinstance(answer, dict):
        last = complaints.decode(errors="replace").strip()[-LAST_CHARACTERS:]
        raise NoAnswer(last or f"It ended with exit code {process.returncode} and said nothing.")
    return answer
