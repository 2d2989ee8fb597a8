"""The environments that engines run in: built from a pinned list, found again by the list's hash.

    <directory>/<name>-<hash>             complete, because it got this name by a rename
    <directory>/<name>-<hash>.building-<pid>   somebody builds, or died while building
    <directory>/<name>-<hash>.lock        held by who builds

The hash is over the list and the Python version: another list is another folder, and a folder is never changed. An
environment is used through `bin/python -m …` only, which a rename does not disturb (scripts in `bin/` would be).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import filelock

from atelier.errors import EnvironmentBuildFailed, EnvironmentNotFound
from atelier.runtime.building import BUILDING, Builder, lock_path, sweep
from atelier.runtime.contents import installed
from atelier.runtime.engines import ENGINES, SERVER_ENVIRONMENT
from atelier.said import Said

HASH_LENGTH = 12
LOCK_PAUSE = 0.25

_WAITS = Said("Waiting to begin", "build.waits")
_ELSEWHERE = Said("Another process is building it", "build.elsewhere")


class EnvironmentState(StrEnum):
    """What an environment is, to this server.

    missing ──build()──> building ──renamed──> ready
       ^                    ├──error──> failed ──build()──> building
       └────cancelled───────┘
    """

    MISSING = "missing"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class EnvironmentInfo:
    """An environment as pages show it. `fraction` 0..1 while it is built; `packages` name -> version when ready."""

    name: str
    hash: str
    path: Path
    state: EnvironmentState
    fraction: float | None = None
    message: str | None = None
    error: EnvironmentBuildFailed | None = None
    packages: dict[str, str] | None = None


class Environments:
    """`requirements` holds `<name>.txt`, a pinned list per environment; `directory` may be shared between checkouts."""

    def __init__(self, directory: Path, requirements: Path, *, base_python: str | Path = sys.executable) -> None:
        self.directory = directory
        self._requirements = requirements
        self._base_python = Path(base_python)
        self._builds: dict[str, EnvironmentInfo] = {}
        self._packages: dict[Path, dict[str, str]] = {}

    def names(self) -> list[str]:
        """Every environment that some engine needs, besides the server's own."""
        return sorted({entry.environment for entry in ENGINES.values()} - {SERVER_ENVIRONMENT})

    def status(self, name: str) -> EnvironmentInfo:
        """Never blocks on a build. Raises EnvironmentNotFound for a name without a list."""
        digest, path = self._place(name)
        info = EnvironmentInfo(name, digest, path, EnvironmentState.MISSING)
        known = self._builds.get(name)
        if known is not None and known.hash == digest and known.state is EnvironmentState.BUILDING:
            return known
        if self._is_ready(path):
            return replace(info, state=EnvironmentState.READY, packages=self.packages(name))
        if known is not None and known.hash == digest and known.state is EnvironmentState.FAILED:
            return known
        return info

    def python(self, name: str) -> Path | None:
        """The interpreter of an environment that is ready, or None. The server's own is always ready."""
        if name == SERVER_ENVIRONMENT:
            return self._base_python
        path = self._place(name)[1]
        return path / "bin" / "python" if self._is_ready(path) else None

    def packages(self, name: str) -> dict[str, str]:
        """Installed packages and versions, read from their dist-info folders; empty unless ready."""
        path = self._place(name)[1]
        if path not in self._packages and self._is_ready(path):
            self._packages[path] = installed(path)
        return self._packages.get(path, {})

    async def build(self, name: str, progress: Callable[[float, Said], None]) -> Path:
        """Make the environment unless it is there; its folder. `progress` hears a fraction 0..1 and what is being done.

        Only one builder at a time, over all processes: the others wait for it and find it made. Cancelling ends pip and
        removes what was half-built. Raises EnvironmentBuildFailed.
        """
        digest, path = self._place(name)
        requirements = self._requirements / f"{name}.txt"
        info = EnvironmentInfo(name, digest, path, EnvironmentState.BUILDING, fraction=0.0, message=_WAITS)

        def tell(fraction: float, message: Said) -> None:
            self._builds[name] = replace(info, fraction=fraction, message=message)
            progress(fraction, message)

        try:
            _make_folder(self.directory)
            async with self._locked(path, lambda: tell(0.0, _ELSEWHERE)):
                if not self._is_ready(path):
                    await asyncio.to_thread(sweep, self.directory, path)
                    await asyncio.to_thread(_set_aside, path)
                    builder = Builder(self._base_python, requirements, path, tell)
                    await builder.build()
        except EnvironmentBuildFailed as error:
            self._builds[name] = replace(
                info, state=EnvironmentState.FAILED, fraction=None, message=error.message, error=error
            )
            raise
        except BaseException:
            self._builds.pop(name, None)
            raise
        self._builds.pop(name, None)
        progress(1.0, Said("Ready", "build.ready"))
        return path

    # ── inside ────────────────────────────────────────────────────────────────

    def _place(self, name: str) -> tuple[str, Path]:
        requirements = self._requirements / f"{name}.txt"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or not requirements.is_file():
            raise EnvironmentNotFound(f"There is no environment named {name!r}.")
        content = requirements.read_bytes() + platform.python_version().encode()
        digest = hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
        return digest, self.directory / f"{name}-{digest}"

    def _is_ready(self, path: Path) -> bool:
        """The folder is there and its interpreter still leads somewhere: an uninstalled Python leaves a dead link."""
        return (path / "bin" / "python").exists()

    @contextlib.asynccontextmanager
    async def _locked(self, path: Path, on_wait: Callable[[], None]) -> AsyncIterator[None]:
        lock = filelock.FileLock(lock_path(path))
        waited = False
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except filelock.Timeout:
                if not waited:
                    on_wait()
                waited = True
                await asyncio.sleep(LOCK_PAUSE)
        try:
            yield
        finally:
            lock.release()


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentBuildFailed(
            Said(f"The folder for environments cannot be made ({error.strerror}).", "build.folder_unwritable"),
            hint="Set ENVIRONMENTS_DIR to a folder that the server may write.",
        ) from error


def _set_aside(path: Path) -> None:
    """Remove a folder that has the right name and no working interpreter."""
    if path.exists():
        aside = path.with_name(f"{path.name}{BUILDING}{os.getpid()}-old")
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
