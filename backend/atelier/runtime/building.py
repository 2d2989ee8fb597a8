"""Builds one environment: a venv beside its place, pip, bytecode, sync, rename. Tells how far it is, or what failed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import filelock

from atelier.config import own_variables
from atelier.errors import EnvironmentBuildFailed
from atelier.runtime import processes
from atelier.said import Said
from atelier.storage import fsync_folder

BUILDING = ".building-"
MARK = "ATELIER_BUILDING"
"""Variable in the environment of every process that builds: the folder it builds in."""

TAIL_LINES = 40
SILENCE_SECONDS = 900.0
INSTALL_PAUSE = 1.0

ALONE = "# --no-deps "
"""Begins a line of a list that names a package which comes without what it asks for."""

DOWNLOAD = re.compile(r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?([^\s/]+)( \([\d.]+ \w?B\))?")

# Shares of the whole: downloading takes by far the longest, then unpacking, then compiling.
VENV, COLLECTED, DOWNLOADED, INSTALLED, COMPILED = 0.02, 0.10, 0.70, 0.88, 0.98

# (what stands in the last lines, code of the sentence `build.<code>`, message, hint)
REASONS: tuple[tuple[str, str, str, str], ...] = (
    (r"No space left on device|\[Errno 28\]|Disk quota exceeded", "disk_full",
     "There is no disk space left for the environment.",
     "Free some space, or set ENVIRONMENTS_DIR to a larger disk."),
    (r"Hash mismatch|DO NOT MATCH THE HASHES", "hash_mismatch",
     "A package does not have the expected hash.",
     "A download was damaged or the package index changed; try again."),
    (r"requires a different Python|Requires-Python|requires Python",
     "python_version",
     "A package needs another version of Python than this server runs with.",
     "Run Atelier with the Python version that the README names."),
    (r"NewConnectionError|Temporary failure in name resolution|Name or service not known|Network is unreachable"
     r"|Connection refused|ConnectTimeout|ReadTimeout|Read timed out|ProxyError|Max retries exceeded",
     "index_unreachable",
     "The package index cannot be reached.", "Check the network, or pip's index and proxy settings."),
    (r"SSLError|CERTIFICATE_VERIFY_FAILED", "certificate",
     "The package index's certificate is not trusted.",
     "Check the clock, the proxy and pip's certificate setting."),
    (r"No matching distribution found|Could not find a version", "package_missing",
     "A listed package does not exist in that version.",
     "The package index may lack it, or it does not exist for this Python and processor."),
    (r"ResolutionImpossible|conflicting dependencies", "packages_contradict",
     "The packages of the list contradict each other.",
     "The list was edited by hand; compile it again."),
    (r"Could not build wheels|Failed building wheel|subprocess-exited-with-error", "not_compiled",
     "A package could not be compiled.",
     "It has no ready-made file for this Python and processor; a compiler or headers may be missing."),
    (r"Invalid requirement|InvalidRequirement|Could not open requirements file", "list_unreadable",
     "The list of packages cannot be read.",
     "Restore the file under backend/requirements."),
    (r"Permission denied|\[Errno 13\]|Read-only file system", "folder_unwritable",
     "The environment's folder cannot be written.",
     "Set ENVIRONMENTS_DIR to a folder that the server may write."),
    (r"No module named (pip|venv|ensurepip)|ensurepip is not available", "pip_missing",
     "Python's own pip or venv is missing.",
     "Install them (Debian: python3-venv) and try again."),
)  # fmt: skip


class Builder:
    """One attempt. Leaves either the complete environment at `path`, or nothing."""

    def __init__(self, base_python: Path, requirements: Path, path: Path, tell: Callable[[float, Said], None]) -> None:
        self._base_python = base_python
        self._requirements = requirements
        self._path = path
        self._folder = path.with_name(f"{path.name}{BUILDING}{os.getpid()}")
        self._tell = tell
        self._alone = alone_in(requirements)
        self._count = max(1, len(requirements_in(requirements)) + len(self._alone))
        self._collected = 0
        self._downloaded = 0
        self._fraction = 0.0
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    async def build(self) -> None:
        """Raises EnvironmentBuildFailed; cancelling ends what runs."""
        try:
            self._say(0.0, Said("Making a virtual environment", "build.begins"))
            await self._run([self._base_python, "-m", "venv", "--without-pip", self._folder])
            self._say(VENV, Said(f"Downloading {self._count} packages", "build.downloads", count=self._count))
            await self._install()
            self._say(INSTALLED, Said("Compiling", "build.compiles"))
            await self._run([self._python, "-m", "compileall", "-q", "-j", "0", self._folder / "lib"], may_fail=True)
            self._say(COMPILED, Said("Writing to disk", "build.writes"))
            await asyncio.to_thread(self._publish)
        except OSError as error:
            raise self._failure(str(error)) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _publish(self) -> None:
        _sync(self._folder)
        self._folder.rename(self._path)
        fsync_folder(self._path.parent)

    @property
    def _python(self) -> Path:
        return self._folder / "bin" / "python"

    async def _install(self) -> None:
        watch = asyncio.create_task(self._count_installed())
        pip = [self._base_python, "-m", "pip", "--python", self._python, "--disable-pip-version-check", "--no-input"]
        try:
            install = [*pip, "install", "--no-compile", "--progress-bar", "off"]
            await self._run([*install, "-r", self._requirements], self._pip_said)
            if self._alone:
                await self._run([*install, "--no-deps", *self._alone], self._pip_said)
        finally:
            watch.cancel()

    async def _count_installed(self) -> None:
        """pip says nothing while it unpacks: count what has arrived."""
        while True:
            await asyncio.sleep(INSTALL_PAUSE)
            if done := await asyncio.to_thread(self._installed):
                words = Said(f"Installing packages {self._of(done)}", "build.installs_some", **self._counted(done))
                self._say(self._share(DOWNLOADED, INSTALLED, done), words)

    def _installed(self) -> int:
        return len(list(self._folder.glob("lib/python*/site-packages/*.dist-info")))

    def _pip_said(self, line: str) -> None:
        """pip first collects all names, fetching small `.metadata` files, and downloads afterwards."""
        if match := re.match(r"\s*Collecting (\S+)", line):
            self._collected += 1
            share = self._share(VENV, COLLECTED, self._collected)
            counted = self._counted(self._collected)
            text = f"Looking up {match[1]} {self._of(self._collected)}"
            self._say(share, Said(text, "build.looks_up", name=match[1], **counted))
        elif match := DOWNLOAD.match(line):
            if not match[1].endswith(".metadata"):
                self._downloaded += 1
                share = self._share(COLLECTED, DOWNLOADED, self._downloaded - 1)
                name = f"{match[1]}{match[2] or ''}"
                text = f"Downloading {name} {self._of(self._downloaded)}"
                self._say(share, Said(text, "build.downloads_one", name=name, **self._counted(self._downloaded)))
        elif line.startswith("Installing collected packages"):
            self._say(DOWNLOADED, Said("Installing packages", "build.installs"))

    def _share(self, start: float, end: float, done: int) -> float:
        return start + (end - start) * min(1.0, done / self._count)

    def _counted(self, done: int) -> dict[str, int]:
        return {"done": min(done, self._count), "total": self._count}

    def _of(self, done: int) -> str:
        return f"({min(done, self._count)} of {self._count})"

    def _say(self, fraction: float, message: Said) -> None:
        self._fraction = max(self._fraction, fraction)
        self._tell(self._fraction, message)

    async def _run(
        self,
        command: Sequence[str | Path],
        heard: Callable[[str], None] | None = None,
        *,
        may_fail: bool = False,
    ) -> None:
        """Run to the end, in a group of its own so that all of it can be ended. Raises EnvironmentBuildFailed."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=1 << 20,
            env=_environment(own_variables(), self._folder),
        )
        try:
            assert process.stdout is not None
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    line = await process.stdout.readline()
                if not line:
                    break
                text = "".join(c for c in line.decode(errors="replace").rstrip() if c.isprintable() or c == "\t")
                self._tail.append(text[:400])
                if heard is not None:
                    heard(text)
            code = await process.wait()
        except TimeoutError:
            minutes = round(SILENCE_SECONDS / 60)
            raise self._failure(
                Said(f"Nothing was heard for {minutes} minutes.", "build.silent", minutes=minutes)
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):  # something that left the group may still hold the pipe
                async with asyncio.timeout(5.0):
                    await process.wait()
        if code != 0 and not may_fail:
            program = Path(str(command[0])).name
            raise self._failure(
                Said(f"{program} ended with exit code {code}.", "build.exit_code", program=program, status=code)
            )

    def _failure(self, otherwise: str) -> EnvironmentBuildFailed:
        """What went wrong, from the last lines; the list's own path stays out of the words."""
        text = "\n".join([*self._tail, otherwise])
        tail = "\n".join(self._tail)
        for pattern, code, message, hint in REASONS:
            if re.search(pattern, text, re.IGNORECASE):
                return EnvironmentBuildFailed(Said(message, f"build.{code}"), hint=hint, log_tail=tail)
        message = f"The environment could not be built: {otherwise}"
        if isinstance(otherwise, Said):
            said = otherwise.reworded(message)
        else:
            said = Said(message, "build.failed", reason=otherwise)
        return EnvironmentBuildFailed(said, hint="The last lines say more.", log_tail=tail)


def requirements_in(path: Path) -> list[str]:
    """The requirements of a pinned list, without comments, options and hashes."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line.split(" --")[0].strip() for line in lines if line and not line.startswith(("#", "-"))]


def alone_in(path: Path) -> list[str]:
    """The requirements of a pinned list that are installed last, and without their own."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(ALONE).partition(" #")[0].strip() for line in lines if line.startswith(ALONE)]


def sweep(directory: Path, held: Path) -> None:
    """Remove what dead builders left, and end what they started. A living builder holds the lock of what it builds, or
    its process is there; `held` is the one whose lock the caller has."""
    for folder in directory.glob(f"*{BUILDING}*"):
        name, _, builder = folder.name.partition(BUILDING)
        target = folder.with_name(name)
        if target != held and builder.isdecimal() and Path("/proc", builder).exists():
            continue  # scripts/setup.sh builds without a lock
        lock = filelock.FileLock(lock_path(target))
        try:
            if target != held:
                lock.acquire(timeout=0)
        except filelock.Timeout:
            continue
        try:
            processes.kill(process for process, _ in processes.marked(MARK, str(folder)))
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


def lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _environment(server: Mapping[str, str], folder: Path) -> dict[str, str]:
    """pip's own settings pass; what would put compiled files elsewhere, or packages from elsewhere, does not."""
    drop = ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    kept = {name: value for name, value in server.items() if name not in drop}
    return kept | {MARK: str(folder), "PYTHONUNBUFFERED": "1", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}


def _sync(folder: Path) -> None:
    """Everything on this file system to disk: thousands of small files, one call."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)
