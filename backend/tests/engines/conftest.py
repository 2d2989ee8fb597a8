"""Fixtures for the engines: tiny real models, workers behind a forkserver, and a client for their sockets.

Run with the engine environment's Python: `PYTHONPATH=backend ENV/bin/python -m pytest backend/tests/engines`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib  # noqa: E402
import itertools  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one, which are no tests
from worker_client import ForkserverProcess, WorkerSocket  # noqa: E402

CREATURES = Path(__file__).parents[2] / "embedded" / "models" / "creatures"


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_models

    return tiny_models.build_sd(tmp_path_factory.mktemp("models") / "tiny-sd")


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_models

    return tiny_models.build_sdxl(tmp_path_factory.mktemp("models") / "tiny-sdxl")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny random model by its name in `tiny_models.BUILDERS`, built once."""
    import tiny_models

    folder = tmp_path_factory.mktemp("tiny")

    def built(name: str) -> Path:
        path = folder / f"tiny-{name}"
        return path if path.exists() else tiny_models.BUILDERS[name](path)

    return built


@pytest.fixture(scope="session")
def creatures() -> Path:
    if not list(CREATURES.glob("unet/*.safetensors")):
        pytest.skip("the embedded model is not in this tree")
    return CREATURES


@pytest.fixture(scope="session")
def short_tmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a short path: a Unix socket's may have 107 bytes."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="at-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def fake_forkserver(short_tmp: Path) -> Iterator[ForkserverProcess]:
    with contextlib.closing(ForkserverProcess("engines.fake")) as server:
        yield server


@pytest.fixture(scope="session")
def image_forkserver(short_tmp: Path) -> Iterator[ForkserverProcess]:
    with contextlib.closing(ForkserverProcess("engines.diffusers_image")) as server:
        yield server


_numbers = itertools.count()


@pytest.fixture
def fake_worker(fake_forkserver: ForkserverProcess, short_tmp: Path) -> Iterator[Callable[..., WorkerSocket]]:
    """Starts fake workers; each is ready when returned, and gone after the test."""
    started: list[WorkerSocket] = []

    def start(*, ready: bool = True, env: dict[str, str] | None = None, **options: object) -> WorkerSocket:
        worker = fake_forkserver.spawn("fake", ".", short_tmp / f"{next(_numbers)}.sock", options, env or {})
        started.append(worker)
        if ready:
            worker.wait_for("ready")
        return worker

    yield start
    for worker in started:
        worker.kill()
