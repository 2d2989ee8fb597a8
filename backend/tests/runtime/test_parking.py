"""Parking, waking, growing, several devices, forecasts, how long an idle worker stays. Real processes, fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from typing import Any

import psutil
import pytest
from atelier.errors import Conflict, NotEnoughMemory
from atelier.runtime.gpu import Device
from atelier.runtime.waiting import Waiting
from atelier.runtime.worker import WorkerSpec, WorkerState
from engines import protocol
from tests.runtime.studio import GB, MakeStudio, Studio, until

MIB = 2**20
GPU = [Device(0, "cuda", "Scripted", GB, GB)]
TWO = [Device(0, "cuda", "Scripted", GB, GB), Device(1, "cuda", "Scripted", GB, GB)]


def parkable(studio: Studio, model: str, size: int = GB * 6 // 10, **options: Any) -> WorkerSpec:
    return studio.spec(model, size, parks=1, device="cuda", weights_bytes=size // 2, **options)


async def use(studio: Studio, spec: WorkerSpec, told: list[Waiting] | None = None, seconds: float = 0.0) -> str:
    tell = told.append if told is not None else None
    async with studio.pool.lease(spec, waiting=tell, run_seconds=seconds or None) as worker:
        done = (await studio.play(worker, f"step:{seconds}"))[-1]
        assert isinstance(done, protocol.Done)
        return worker.id


class TestParking:
    async def test_two_models_change_places_and_keep_their_processes(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        ids = [await use(studio, parkable(studio, model)) for model in ("a", "b", "a", "b", "a")]
        assert len(set(ids)) == 2 and ids[0] == ids[2] == ids[4]
        await until(lambda: {i.model: i.state.value for i in studio.pool.running()} == {"a": "ready", "b": "parked"})
        assert [state for state in studio.states(ids[1]) if state in ("loading", "parked")] == [
            *("loading", "parked", "loading", "parked")
        ]
        parked = next(info for info in studio.pool.running() if info.model == "b")
        assert parked.host_bytes == GB * 3 // 10 and studio.pool.leased_bytes(0) < GB * 62 // 100

    async def test_what_cannot_be_parked_is_stopped(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        await use(studio, studio.spec("a", GB * 6 // 10))
        await use(studio, studio.spec("b", GB * 6 // 10))
        assert {info.model for info in studio.pool.running()} == {"b"}

    async def test_where_the_gpu_uses_the_machines_memory_nothing_is_parked(self, open_studio: MakeStudio) -> None:
        """It would lie where it lay before."""
        device = Device(0, "cuda", "NVIDIA GB10", GB, GB, shares_memory=True)
        studio = await open_studio(devices=[device], park_budget_bytes=GB)
        for model in ("a", "b"):
            await use(studio, parkable(studio, model))
        assert [info.model for info in studio.pool.running()] == ["b"]
        with pytest.raises(Conflict, match="cannot park"):
            await studio.pool.park_worker(studio.pool.running()[0].id)

    async def test_what_an_offloaded_one_has_of_the_machine_counts(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB * 4 // 10)
        offloaded = replace(studio.spec("offloaded", GB // 10), host_bytes=GB * 2 // 10)
        async with studio.pool.lease(offloaded):
            await use(studio, parkable(studio, "a"))
            await use(studio, parkable(studio, "b"))
            assert "a" not in {info.model for info in studio.pool.running()}, "no room is left to park it"

    async def test_the_hosts_budget_is_kept(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB * 4 // 10)
        for model in ("a", "b", "c", "a", "b", "c"):
            await use(studio, parkable(studio, model))
            assert sum(info.host_bytes for info in studio.pool.running()) <= GB * 4 // 10
        # Which of them are parked and which are stopped depends on how long each took to load.
        assert {info.state.value for info in studio.heard} >= {"parked", "stopped"}

    async def test_one_that_does_not_wake_is_started_anew(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        first = await use(studio, parkable(studio, "a", wake_fails="out_of_memory"))
        await use(studio, parkable(studio, "b"))
        again = await use(studio, parkable(studio, "a", wake_fails="out_of_memory"))
        assert again != first and studio.states(first)[-1] == "failed"

    async def test_parked_by_hand_and_woken_by_use(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        spec = parkable(studio, "a")
        id_ = await use(studio, spec)
        await studio.pool.park_worker(id_)
        await until(lambda: studio.pool.running()[0].state is WorkerState.PARKED)
        assert await use(studio, spec) == id_

    async def test_not_while_busy_and_not_without_an_engine_that_can(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        async with studio.pool.lease(studio.spec("a")) as worker:
            with pytest.raises(Conflict, match="busy"):
                await studio.pool.park_worker(worker.id)
        with pytest.raises(Conflict, match="The engine fake cannot park a"):
            await studio.pool.park_worker(worker.id)

    async def test_a_crash_while_parked_is_noticed(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=GPU, park_budget_bytes=GB)
        id_ = await use(studio, parkable(studio, "a"))
        await studio.pool.park_worker(id_)
        os.kill(studio.pool.running()[0].pid or 0, signal.SIGKILL)
        await until(lambda: not studio.pool.running())
        assert await use(studio, parkable(studio, "a")) != id_


class TestPinning:
    async def test_a_pinned_worker_stays(self, studio: Studio) -> None:
        spec = replace(studio.spec("kept", GB * 6 // 10), pinned=True)
        id_ = await use(studio, spec)
        told: list[Waiting] = []
        waiting = asyncio.create_task(use(studio, studio.spec("other", GB * 6 // 10), told))
        await asyncio.sleep(0.3)
        assert not waiting.done() and told[-1].words == "waits for memory: kept holds 0.6 GB, pinned"
        studio.pool.set_policy("kept", pinned=False, ttl_seconds=None)
        assert await waiting != id_

    async def test_one_that_is_pinned_while_somebody_waits_for_it_stays(self, studio: Studio) -> None:
        """Who waits was asked for with what the model's row said before."""
        async with studio.pool.lease(studio.spec("kept", GB * 6 // 10)):
            waiting = asyncio.create_task(use(studio, studio.spec("kept", GB * 6 // 10)))
            await asyncio.sleep(0)
            studio.pool.set_policy("kept", pinned=True, ttl_seconds=None)
        await waiting
        assert [info.pinned for info in studio.pool.running()] == [True]

    async def test_each_model_is_idle_for_as_long_as_it_may(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(idle_seconds=0.2)
        await use(studio, replace(studio.spec("for ever"), ttl_seconds=0))
        await use(studio, replace(studio.spec("pinned"), pinned=True))
        await use(studio, replace(studio.spec("long"), ttl_seconds=600))
        await use(studio, studio.spec("as usual"))
        await until(lambda: "as usual" not in {info.model for info in studio.pool.running()}, 5)
        assert {info.model for info in studio.pool.running()} == {"for ever", "pinned", "long"}


class TestLarger:
    async def test_a_larger_request_takes_more_of_the_device(self, studio: Studio) -> None:
        first = await use(studio, studio.spec("a", GB * 4 // 10))
        await use(studio, studio.spec("b", GB * 4 // 10))
        assert await use(studio, studio.spec("a", GB * 8 // 10)) == first
        assert [info.bytes_leased for info in studio.pool.running()] == [GB * 8 // 10]
        with pytest.raises(NotEnoughMemory):
            await use(studio, studio.spec("a", GB * 11 // 10))
        assert studio.most_leased <= GB


class TestSeveralDevices:
    async def test_a_worker_over_two_devices_holds_bytes_on_both(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(devices=TWO)
        wide = WorkerSpec("fake", "wide", studio.folder, (), GB * 6 // 10, spread=2)
        async with studio.pool.lease(wide) as worker:
            assert worker.devices == (0, 1)
            assert studio.pool.leased_bytes(0) == studio.pool.leased_bytes(1) == GB * 6 // 10
            [info] = studio.pool.running()
            assert (info.devices, info.bytes_leased) == ((0, 1), GB * 6 // 10)
            with pytest.raises(NotEnoughMemory, match="3 devices, but there are 2"):
                await use(studio, WorkerSpec("fake", "wider", studio.folder, (), 1, spread=3))
        named = WorkerSpec("fake", "named", studio.folder, (), GB * 6 // 10, devices=(1,))
        async with studio.pool.lease(named) as worker:
            assert worker.devices == (1,)
        assert {info.model for info in studio.pool.running()} == {"named"}

    async def test_a_servers_processes_see_the_devices_of_the_lease_and_no_others(
        self, open_studio: MakeStudio
    ) -> None:
        studio = await open_studio(devices=TWO)
        for devices, spread, seen in (((0, 1), 2, "0,1"), ((1,), 1, "1")):
            spec = WorkerSpec("fake", seen, studio.folder, (("task", "chat"),), GB // 10, devices, spread)
            async with studio.pool.lease(spec) as worker:
                [server] = psutil.Process(worker.info.pid).children()
                assert worker.devices == devices and server.environ()["CUDA_VISIBLE_DEVICES"] == seen


class TestForecast:
    async def test_place_and_seconds_of_everybody_in_the_line(self, studio: Studio) -> None:
        spec = studio.spec("a", GB)
        await use(studio, spec)
        told: list[list[Waiting]] = [[], [], []]
        began = time.monotonic()
        runs = [asyncio.create_task(use(studio, spec, told[at], 0.5)) for at in range(3)]
        await asyncio.gather(*runs)
        assert time.monotonic() - began < 5
        assert not told[0]
        assert (told[1][0].position, told[2][0].position) == (1, 2)
        assert told[1][0].seconds == pytest.approx(0.5, abs=0.2)
        assert told[2][0].seconds == pytest.approx(1.0, abs=0.2)
        assert told[2][0].words == "waits its turn: a is busy"

    async def test_who_waits_for_memory_loads_after_that(self, studio: Studio) -> None:
        await use(studio, studio.spec("b", GB, load_seconds=0.4))
        told: list[Waiting] = []
        busy = asyncio.create_task(use(studio, studio.spec("a", GB), seconds=1.0))
        await until(lambda: "busy" in [info.state for info in studio.heard if info.model == "a"])
        await use(studio, studio.spec("b", GB, load_seconds=0.4), told)
        await busy
        assert told[0].reason == "memory" and told[0].position == 1
        assert told[0].seconds == pytest.approx(1.4, abs=0.4)

    async def test_nothing_is_claimed_that_nobody_knows(self, studio: Studio) -> None:
        told: list[Waiting] = []
        async with studio.pool.lease(studio.spec("a", GB)):
            waiting = asyncio.create_task(use(studio, studio.spec("b", GB), told))
            await until(lambda: told)
            assert told[0].seconds is None
        await waiting
