"""Environments are built once, whole or not at all, with words when it fails. Packages are made here; no network."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from atelier.errors import EnvironmentBuildFailed, EnvironmentNotFound
from atelier.runtime import building
from atelier.runtime.environments import Environments, EnvironmentState
from tests.runtime.studio import until

BACKEND = Path(__file__).resolve().parents[2]


def wheel(
    folder: Path, name: str, version: str = "1.0", requires_python: str = ">=3.8", requires: str | None = None
) -> Path:
    """A pure wheel with one module of that name, which asks for another package."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {requires_python}\n"
        meta += f"Requires-Dist: {requires}\n" if requires else ""
        file.writestr(f"{info}/METADATA", meta)
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


@pytest.fixture
def lists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of requirement lists, and pip kept to the wheels beside it."""
    wheels = folder / "wheels"
    wheels.mkdir()
    for name in ("alpha", "beta"):
        wheel(wheels, name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    path = folder / "requirements"
    path.mkdir()
    (path / "tiny.txt").write_text("# two packages\nalpha==1.0  # the first\nbeta==1.0\n")
    return path


class Told:
    def __init__(self) -> None:
        self.all: list[tuple[float, str]] = []

    def __call__(self, fraction: float, message: str) -> None:
        self.all.append((fraction, message))


class TestBuild:
    async def test_builds_reports_and_is_found_again(self, folder: Path, lists: Path) -> None:
        wheel(lists.parent / "wheels", "gamma", requires="nowhere")
        with (lists / "tiny.txt").open("a") as file:
            file.write("# --no-deps gamma==1.0  # alone\n")
        environments = Environments(folder / "e", lists)
        assert environments.status("tiny").state is EnvironmentState.MISSING and environments.python("tiny") is None
        told = Told()
        path = await environments.build("tiny", told)

        fractions = [fraction for fraction, _ in told.all]
        assert fractions == sorted(fractions) and fractions[0] == 0 and told.all[-1] == (1.0, "Ready")
        words = " | ".join(message for _, message in told.all)
        assert "alpha-1.0-py3-none-any.whl (1 of 3)" in words and "beta-1.0-py3-none-any.whl (2 of 3)" in words
        assert "gamma-1.0-py3-none-any.whl (3 of 3)" in words, "and what it asks for is not looked for"
        python = environments.python("tiny")
        assert python == path / "bin" / "python"
        code = "import alpha, beta, gamma, sys; print(alpha.VERSION, sys.prefix, alpha.__cached__)"
        env = {"PATH": os.environ["PATH"]}
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=env).stdout.split()
        assert said[:2] == ["1.0", str(path)], "it works after the rename"
        assert os.path.exists(said[2]), "and is compiled"

        again = Environments(folder / "e", lists)
        info = again.status("tiny")
        assert info.state is EnvironmentState.READY and info.path == path
        assert info.packages == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
        began = time.monotonic()
        assert await again.build("tiny", Told()) == path
        assert time.monotonic() - began < 0.5
        assert sorted(p.name for p in (folder / "e").iterdir() if not p.name.endswith(".lock")) == [path.name]

        (lists / "tiny.txt").write_text("alpha==1.0\n")
        changed = again.status("tiny")
        assert changed.state is EnvironmentState.MISSING and changed.hash != info.hash

    async def test_two_builders_make_one(self, folder: Path, lists: Path) -> None:
        told = Told(), Told()
        paths = await asyncio.gather(*(Environments(folder / "e", lists).build("tiny", tell) for tell in told))
        assert paths[0] == paths[1]
        built = [tell for tell in told if any("alpha" in message for _, message in tell.all)]
        waited = [tell for tell in told if any("Another process" in message for _, message in tell.all)]
        assert len(built) == len(waited) == 1 and built != waited

    async def test_a_folder_whose_python_is_gone_is_built_again(self, folder: Path, lists: Path) -> None:
        environments = Environments(folder / "e", lists)
        path = environments.status("tiny").path
        (path / "bin").mkdir(parents=True)
        (path / "bin" / "python").symlink_to("/no/such/python")
        assert environments.python("tiny") is None
        await environments.build("tiny", Told())
        assert environments.python("tiny") is not None


class TestFailure:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("gamma==1.0", "A listed package does not exist in that version."),
            ("alpha==9.9", "A listed package does not exist in that version."),
            ("???", "The list of packages cannot be read."),
        ],
    )
    async def test_has_words_a_hint_and_last_lines(self, folder: Path, lists: Path, line: str, words: str) -> None:
        (lists / "bad.txt").write_text(f"{line}\n")
        environments = Environments(folder / "e", lists)
        with pytest.raises(EnvironmentBuildFailed) as failed:
            await environments.build("bad", Told())
        assert failed.value.message == words and failed.value.hint and failed.value.log_tail
        info = environments.status("bad")
        assert info.state is EnvironmentState.FAILED and info.error is failed.value
        assert environments.python("bad") is None
        assert [p for p in (folder / "e").iterdir() if p.is_dir()] == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk space"),
            (
                "NewConnectionError: Failed to establish a new connection: [Errno 101] Network is unreachable\n"
                "ERROR: No matching distribution found for torch==2.13.0",
                "cannot be reached",
            ),
            ("ERROR: Ignored the following versions that require a different python version: 2.0 Requires-Python >=3.13"
             "\nERROR: No matching distribution found", "another version of Python"),
            ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "expected hash"),
            ("ERROR: ResolutionImpossible: for help visit", "contradict"),
            ("  error: subprocess-exited-with-error", "could not be compiled"),
            ("/usr/bin/python3: No module named pip", "pip or venv is missing"),
            ("something new", "could not be built: exit 1"),
        ],
    )  # fmt: skip
    def test_every_reason_has_words(self, folder: Path, lists: Path, text: str, words: str) -> None:
        builder = building.Builder(Path(sys.executable), lists / "tiny.txt", folder / "x", Told())
        builder._tail.extend(text.splitlines())
        assert words in builder._failure("exit 1").message

    async def test_a_python_that_is_too_old(self, folder: Path, lists: Path) -> None:
        wheel(folder / "wheels", "future", requires_python=">=3.99")
        (lists / "new.txt").write_text("future==1.0\n")
        with pytest.raises(EnvironmentBuildFailed, match="another version of Python"):
            await Environments(folder / "e", lists).build("new", Told())

    async def test_no_interpreter(self, folder: Path, lists: Path) -> None:
        with pytest.raises(EnvironmentBuildFailed):
            await Environments(folder / "e", lists, base_python="/no/such/python").build("tiny", Told())

    @pytest.mark.parametrize("name", ["none", "../requirements/tiny", "", "Tiny"])
    async def test_a_name_without_a_list(self, folder: Path, lists: Path, name: str) -> None:
        with pytest.raises(EnvironmentNotFound):
            Environments(folder / "e", lists).status(name)


class TestInterrupted:
    async def test_cancelling_ends_pip_and_leaves_nothing(self, folder: Path, lists: Path) -> None:
        environments = Environments(folder / "e", lists)
        told = Told()
        task = asyncio.create_task(environments.build("tiny", told))
        await until(lambda: len(told.all) > 2)
        assert environments.status("tiny").state is EnvironmentState.BUILDING
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert environments.status("tiny").state is EnvironmentState.MISSING
        assert [p for p in (folder / "e").iterdir() if p.is_dir()] == []
        assert _builders(folder) == []

    async def test_a_killed_builder_leaves_nothing_that_is_used(self, folder: Path, lists: Path) -> None:
        code = (
            "import asyncio, pathlib, sys; from atelier.runtime.environments import Environments\n"
            "environments = Environments(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
            "asyncio.run(environments.build('tiny', lambda f, m: print(m, flush=True)))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder / "e"), str(lists)],
            env=os.environ | {"PYTHONPATH": str(BACKEND)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        while "Downloading" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        environments = Environments(folder / "e", lists)
        half = [p for p in (folder / "e").iterdir() if p.is_dir()]
        assert half and environments.status("tiny").state is EnvironmentState.MISSING
        path = await environments.build("tiny", Told())
        assert [p for p in (folder / "e").iterdir() if p.is_dir()] == [path]
        assert environments.status("tiny").packages == {"alpha": "1.0", "beta": "1.0"}
        assert _builders(folder) == []


def test_what_another_program_builds_is_left_alone(folder: Path) -> None:
    """`scripts/setup.sh` builds without a lock, in a folder that its process names."""
    ours, dead, theirs = (
        folder / "e" / f"{name}-aaaa.building-{pid}" for name, pid in (("x", 1), ("y", 2**22 + 1), ("dev", os.getpid()))
    )
    for path in (ours, dead, theirs):
        path.mkdir(parents=True)
    building.sweep(folder / "e", folder / "e" / "x-aaaa")
    assert [path.exists() for path in (ours, dead, theirs)] == [False, False, True]


def test_what_pip_says_becomes_progress(folder: Path, lists: Path) -> None:
    told = Told()
    builder = building.Builder(Path(sys.executable), lists / "tiny.txt", folder / "x", told)
    for line in (
        "Collecting torch==2.13.0 (from -r image.txt (line 5))",
        "  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)",
        "Collecting numpy==2.4.0 (from -r image.txt (line 9))",
        "Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)",
        "Using cached numpy-2.4.0-cp311-cp311-manylinux_2_17_x86_64.whl (16.8 MB)",
        "Installing collected packages: numpy, torch",
        "Successfully installed numpy-2.4.0 torch-2.13.0",
    ):
        builder._pip_said(line)
    assert [(round(fraction, 2), message) for fraction, message in told.all] == [
        (0.06, "Looking up torch==2.13.0 (1 of 2)"),
        (0.10, "Looking up numpy==2.4.0 (2 of 2)"),
        (0.10, "Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB) (1 of 2)"),
        (0.40, "Downloading numpy-2.4.0-cp311-cp311-manylinux_2_17_x86_64.whl (16.8 MB) (2 of 2)"),
        (0.70, "Installing packages"),
    ]


def test_requirements_are_counted_without_hashes_and_options(folder: Path) -> None:
    path = folder / "list.txt"
    path.write_text(
        "# head\n--index-url https://example.org\n\nalpha==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
        "    # via beta\nbeta[extra]==2.0 ; python_version < '4'  # why\n-r other.txt\n"
    )
    assert building.requirements_in(path) == ["alpha==1.0", "beta[extra]==2.0 ; python_version < '4'"]


def _builders(folder: Path) -> list[int]:
    """Processes that still build under this folder."""
    from atelier.runtime import processes

    everyone = (process for process in processes.everyone() if not process.is_dead)
    return [p.pid for p in everyone if processes.environment(p.pid).get(building.MARK, "").startswith(str(folder))]
