"""Parking and waking, and measuring what a run took: over the wire, and with real pipelines."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from engines.diffusers_image import DiffusersImage, load
from engines.lifeline import memory_bytes
from engines.measured import PeakMemory
from engines.protocol import Awake, Done, Failed, FakeTask, Park, Parked, TextToImage, Wake, WorkerPhase

MIB = 2**20


def drawing(output: Path, **changes: object) -> TextToImage:
    settings = {"prompt": "a fox", "negative_prompt": "", "seeds": [3], "steps": 3, "guidance_scale": 3.0}
    settings |= {"width": 64, "height": 64, "preview_every": 1}
    return TextToImage(**{"task_id": "t", "output_dir": str(output), **settings, **changes})


class Quiet:
    cancelled = False

    def report(self, progress: object) -> None:
        pass


class TestOverTheWire:
    def test_parked_and_woken(self, fake_worker) -> None:
        worker = fake_worker(parks=1, weights_bytes=5000)
        assert worker.health().can_park
        parked = worker.run(Park(task_id="p"))[-1]
        assert isinstance(parked, Parked) and parked.rest_bytes == 5
        assert worker.health().phase is WorkerPhase.PARKED
        assert isinstance(worker.run(Wake(task_id="w"))[-1], Awake)
        assert worker.health().phase is WorkerPhase.READY
        assert isinstance(worker.run(FakeTask(task_id="t", output_dir="/tmp", script=["step:0"]))[-1], Done)

    def test_parked_it_takes_no_run(self, fake_worker) -> None:
        worker = fake_worker(parks=1)
        worker.run(Park(task_id="p"))
        with pytest.raises(AssertionError, match="503"), worker.running(FakeTask(task_id="t", output_dir="/tmp")):
            pass
        assert worker.health().phase is WorkerPhase.PARKED

    def test_one_that_cannot_wake_stays_parked(self, fake_worker) -> None:
        worker = fake_worker(parks=1, wake_fails="out_of_memory")
        worker.run(Park(task_id="p"))
        failed = worker.run(Wake(task_id="w"))[-1]
        assert isinstance(failed, Failed) and failed.code == "out_of_memory"
        assert worker.health().phase is WorkerPhase.PARKED

    def test_twice_is_the_same_as_once(self, fake_worker) -> None:
        worker = fake_worker(parks=1)
        assert isinstance(worker.run(Wake(task_id="w"))[-1], Awake)
        for _ in range(2):
            assert isinstance(worker.run(Park(task_id="p"))[-1], Parked)

    def test_an_engine_that_cannot_is_not_asked_to(self, fake_worker) -> None:
        worker = fake_worker()
        assert not worker.health().can_park
        with pytest.raises(AssertionError, match="400"), worker.running(Park(task_id="p")):
            pass


class TestMeasured:
    def test_the_peak_of_a_run_is_its_own(self, fake_worker) -> None:
        worker = fake_worker()

        def peak(size: int) -> int:
            done = worker.run(FakeTask(task_id="t", output_dir="/tmp", script=[f"alloc:{size}", "step:0.01"]))[-1]
            assert isinstance(done, Done)
            return done.peak_bytes

        small, large, again = peak(0), peak(200 * MIB), peak(0)
        assert 190 * MIB < large - small < 215 * MIB
        assert again - small < 20 * MIB

    def test_the_highest_moment_counts_not_the_last(self) -> None:
        peak = PeakMemory()
        before = memory_bytes()[1]
        peak.reset()
        held = bytearray(100 * MIB)
        held[::4096] = b"\x01" * len(held[::4096])
        del held
        gc.collect()
        assert 95 * MIB < peak.read() - before < 130 * MIB


@pytest.mark.parametrize("which", ["tiny_sd", "tiny_sdxl", "creatures"])
class TestRealPipelines:
    @pytest.fixture
    def engine(self, which: str, request: pytest.FixtureRequest) -> DiffusersImage:
        return load(request.getfixturevalue(which), {"threads": 1, "device": "cpu"})

    def test_draws_the_same_bytes_after_parking(self, engine: DiffusersImage, tmp_path: Path, which: str) -> None:
        size = 256 if which == "creatures" else 64
        sums = []
        for number in range(3):
            (output := tmp_path / str(number)).mkdir()
            done = engine.run(drawing(output, width=size, height=size), Quiet())
            assert isinstance(done, Done)
            sums.append(done.files[0].sha256)
            parked = engine.park()
            assert parked.host_bytes == 0 and parked.rest_bytes > 0
            assert not [name for name, part in engine._pipe.components.items() if hasattr(part, "parameters")]
            engine.wake()
        assert len(set(sums)) == 1

    def test_another_scheduler_after_waking_is_the_models_own_again(
        self, engine: DiffusersImage, tmp_path: Path, which: str
    ) -> None:
        size = 256 if which == "creatures" else 64
        own = type(engine._pipe.scheduler).__name__
        engine.run(drawing(tmp_path, width=size, height=size, scheduler="ddim"), Quiet())
        engine.park()
        engine.wake()
        assert type(engine._pipe.scheduler).__name__ == own
