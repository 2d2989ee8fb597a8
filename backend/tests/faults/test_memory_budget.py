"""Real models on a budget: nobody runs out of memory, estimates learn, parking gives back, cycles leave nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from atelier.access.actor import LOCAL_USER_ID
from atelier.clock import now
from atelier.config import RuntimeSettings
from atelier.db import Database
from atelier.models.estimate import Work
from atelier.models.learning import Learning
from atelier.models.probe import probe
from atelier.models.sizing import Sizing
from atelier.runtime.worker import WorkerState
from atelier.tables import ModelRow
from engines import protocol
from tests.databases import migrated
from tests.faults.real_models import CREATURES, MIB, RealStudio, build_tiny, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return build_tiny(tmp_path_factory.mktemp("tiny"), 3)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="at-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def test_three_models_on_room_for_two_answer_200_requests_of_8_clients(folder: Path, tiny: list[Path]) -> None:
    """A worker needs 45 to 75 MiB of its own; 100 are leased for each."""
    size = 100 * MIB
    chance = random.Random(8)
    answered: Counter[str] = Counter()
    async with RealStudio(folder, 2 * size + 20 * MIB) as studio:
        wanted = [chance.choice(tiny) for _ in range(200)]

        async def client() -> None:
            while wanted:
                model = wanted.pop()
                async with studio.pool.lease(studio.spec(model, size)) as worker:
                    done = await studio.draw(worker, 64, 1, guidance_scale=1.0)
                assert isinstance(done, protocol.Done), done
                assert 0 < done.peak_bytes <= size, "it stays within its lease"
                answered[model.name] += 1

        began = time.monotonic()
        await asyncio.gather(*(client() for _ in range(8)))
        assert time.monotonic() - began < 300
    assert answered.total() == 200 and len(answered) == 3
    assert studio.most_leased <= studio.device.budget_bytes
    assert not [info for info in studio.heard if info.state is WorkerState.FAILED]


async def test_a_parked_model_gives_back_and_draws_the_same_again(folder: Path) -> None:
    async with RealStudio(folder, 600 * MIB) as studio:
        spec = studio.spec(CREATURES, 300 * MIB)

        async def draw() -> str:
            async with studio.pool.lease(spec) as worker:
                done = await studio.draw(worker, 256, 4)
                assert isinstance(done, protocol.Done)
                return done.files[0].sha256

        before = await draw()
        (info,) = studio.pool.running()
        await studio.pool.park_worker(info.id)
        (parked,) = studio.pool.running()
        assert parked.held_bytes < 120 * MIB and studio.pool.leased_bytes(0) == parked.held_bytes
        assert (parked.rss_bytes or 0) < (info.rss_bytes or 0)
        assert await draw() == before
        assert [one.pid for one in studio.pool.running()] == [info.pid]


async def test_a_hundred_loads_and_unloads_leave_nothing(folder: Path, tiny: list[Path]) -> None:
    async with RealStudio(folder, 600 * MIB) as studio:

        async def cycle() -> None:
            async with studio.pool.lease(studio.spec(tiny[0], 64 * MIB)) as worker:
                pass
            await studio.pool.stop_worker(worker.id)

        for _ in range(10):
            await cycle()
        gc.collect()
        before, files = _rss(), len(os.listdir("/proc/self/fd"))
        began = time.monotonic()
        for _ in range(100):
            await cycle()
        assert time.monotonic() - began < 90
        gc.collect()
        assert len(studio.left_over()) == 1, "the forkserver, and nobody else"
        assert _rss() - before < 4 * MIB
        assert len(os.listdir("/proc/self/fd")) <= files + 2
        assert studio.pool.running() == [] and studio.pool.leased_bytes(0) == 0


# ── learning ──────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture
async def database(folder: Path) -> AsyncIterator[Database]:
    made = Database(migrated(folder / "atelier.db"))
    yield made
    await made.close()


def row_of(path: Path) -> ModelRow:
    found = probe(path)
    return ModelRow(
        id=f"model-{path.name}",
        owner_id=LOCAL_USER_ID,
        key=path.name,
        name=path.name,
        task=found.task,
        type=found.type,
        family=found.family,
        engine="diffusers_image",
        source="imported",
        path=str(path),
        dtype=found.dtype,
        parameters=found.parameters,
        size_bytes=found.size_bytes,
        pinned=False,
        created_at=now(),
        defaults={"width": 256, "height": 256},
        limits={},
        tags=[],
        load_options={},
    )


async def test_after_eight_runs_the_peak_is_predicted(folder: Path, tiny: list[Path], database: Database) -> None:
    """Eight runs of mixed sizes, each on a worker that has not seen a larger one; then sizes seen and not seen."""
    plans = {
        CREATURES: ((256, 256), (320, 256), (320, 320), (384, 320)),
        tiny[0]: ((64, 64), (96, 96), (128, 96), (128, 128)),
    }
    plans[tiny[1]] = plans[tiny[0]]
    unseen = {CREATURES: (384, 384), tiny[0]: (112, 112), tiny[1]: (112, 112)}
    errors: list[float] = []
    learning = Learning(database)
    async with RealStudio(folder, 3000 * MIB) as studio:
        sizing = Sizing(learning, [studio.device], RuntimeSettings(threads=1))
        for model, sizes in plans.items():
            row = row_of(model)
            async with database.write() as session:
                session.add(row)
            for side in (*sizes, *sizes):
                await _run(studio, sizing, row, side)
            found = []
            for side in (*sizes, unseen[model]):
                predicted = sizing.need(row, Work(*side)).bytes
                peak = await _run(studio, sizing, row, side)
                found.append((side, round(predicted.expected / MIB), round(peak / MIB), round(predicted.high / MIB)))
                errors.append(abs(predicted.expected - peak) / peak)
                assert peak < 1.25 * predicted.high
            print(model.name, found)
    print(f"median error {statistics.median(errors):.3f}, largest {max(errors):.3f}")
    assert statistics.median(errors) < 0.15
    await learning.close()
    again = Learning(database)
    await again.start()
    need = sizing.need(row, Work(96, 96))
    assert again.bytes(need.subject, need.parts) == learning.bytes(need.subject, need.parts), "nothing was forgotten"


async def _run(studio: RealStudio, sizing: Sizing, row: ModelRow, side: tuple[int, int]) -> int:
    """One picture on a fresh worker; the peak that was measured and learned."""
    need = sizing.need(row, Work(*side), steps=1)
    async with studio.pool.lease(need.spec) as worker:
        sizing.note_load(need, worker)
        done = await studio.draw(worker, side[0], 1, width=side[0], height=side[1])
        assert isinstance(done, protocol.Done), done
        sizing.note_run(need, worker, done)
    await studio.pool.stop_worker(worker.id)
    return done.peak_bytes


def _rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
