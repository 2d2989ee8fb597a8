"""Leases: joining, taking turns, making room, giving back. Real processes of the fake engine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import time
from dataclasses import replace

import psutil
import pytest
from atelier.errors import EnvironmentNotReady, NotEnoughMemory, Unavailable, WorkerNotFound, WorkerStartFailed
from atelier.runtime import processes
from atelier.runtime.devices import DeviceProcess, DeviceSample
from atelier.runtime.exits import WorkerLost
from atelier.runtime.gpu import Device, GPUMonitor, ScriptedDevices
from atelier.runtime.waiting import Waiting
from atelier.runtime.worker import Worker, WorkerSpec, WorkerState
from engines import protocol
from tests.runtime.studio import GB, MakeStudio, Studio, until


class TestLease:
    async def test_runs_a_task_to_its_end(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            updates = await studio.play(worker, "step:0.01", "file")
        assert isinstance(updates[-1], protocol.Done)
        assert updates[-1].files[0].path == "0.png"
        assert [type(u) for u in updates[:-1]] == [protocol.Progress]

    async def test_tells_every_state_in_order(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            await until(lambda: worker.state is WorkerState.BUSY)
            assert studio.pool.running()[0].rss_bytes > 0
        await until(lambda: worker.state is WorkerState.READY)
        assert studio.pool.running()[0].idle_since is not None
        await studio.pool.stop_worker(worker.id)
        assert studio.states(worker.id) == ["starting", "loading", "ready", "busy", "ready", "stopping", "stopped"]

    async def test_uses_the_idle_worker_again(self, studio: Studio) -> None:
        pids = set()
        for _ in range(3):
            async with studio.pool.lease(studio.spec()) as worker:
                pids.add(worker.info.pid)
        assert len(pids) == 1

    async def test_joins_a_start_under_way_and_takes_turns(self, studio: Studio) -> None:
        inside, most, words = 0, 0, []

        async def use() -> str:
            nonlocal inside, most
            async with studio.pool.lease(studio.spec(), waiting=lambda what: words.append(what.words)) as worker:
                inside += 1
                most = max(most, inside)
                await studio.play(worker, "step:0.02")
                inside -= 1
                return worker.id

        ids = await asyncio.gather(*(use() for _ in range(4)))
        assert len(set(ids)) == 1 and most == 1
        assert "starts: m is being loaded" in words and "waits its turn: m is busy" in words

    async def test_serves_priority_first_then_arrival(self, studio: Studio) -> None:
        served: list[str] = []

        async def use(name: str, priority: int) -> None:
            async with studio.pool.lease(studio.spec(), priority=priority):
                served.append(name)

        async with studio.pool.lease(studio.spec()):
            waiting = []
            for name, priority in [("first", 0), ("second", 0), ("urgent", 5)]:
                waiting.append(asyncio.create_task(use(name, priority)))
                await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)
        assert served == ["urgent", "first", "second"]

    async def test_two_models_run_side_by_side(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec("a")) as a, studio.pool.lease(studio.spec("b")) as b:
            done = await asyncio.gather(studio.play(a, "step:0.05"), studio.play(b, "step:0.05"))
        assert all(isinstance(updates[-1], protocol.Done) for updates in done)

    async def test_a_run_that_fails_leaves_the_worker_alive(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            updates = await studio.play(worker, "fail:too_hard")
            failed = updates[-1]
            assert isinstance(failed, protocol.Failed)
            assert (failed.code, failed.message, failed.hint) == (
                "too_hard",
                "the script says so",
                "Change the script.",
            )
            assert failed.peak_bytes > 0
            assert isinstance((await studio.play(worker, "file"))[-1], protocol.Done)

    async def test_a_task_of_another_engine_is_refused_not_fatal(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            updates = await studio.play(worker, "no_such_verb")
            assert isinstance(updates[-1], protocol.Failed)
            assert updates[-1].code == "unknown_verb"

    async def test_what_never_fits_is_refused_at_once(self, studio: Studio) -> None:
        with pytest.raises(NotEnoughMemory, match=r"m needs 2.0 GB, but the largest device may give 1.0 GB"):
            async with studio.pool.lease(studio.spec(size=2 * GB)):
                pass

    async def test_an_environment_that_is_not_built_is_named(self, studio: Studio) -> None:
        spec = WorkerSpec("diffusers_image", "m", studio.folder, bytes_needed=1)
        with pytest.raises(EnvironmentNotReady, match="'image'"):
            async with studio.pool.lease(spec):
                pass

    async def test_prepare_imports_the_libraries_once(self, studio: Studio) -> None:
        await asyncio.gather(studio.pool.prepare("fake"), studio.pool.prepare("fake"))
        assert len(studio.left_over()) == 1
        began = time.monotonic()
        async with studio.pool.lease(studio.spec()):
            assert time.monotonic() - began < 1.0


class TestMemory:
    async def test_evicts_the_idle_worker(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec("old", GB * 6 // 10)) as old:
            pid = old.info.pid
        words: list[str] = []
        async with studio.pool.lease(studio.spec("new", GB * 6 // 10), waiting=lambda what: words.append(what.words)):
            assert not os.path.exists(f"/proc/{pid}")
        assert words[0] == "waits for memory: old holds 0.6 GB, stopping"
        assert studio.most_leased <= GB

    async def test_waits_for_a_busy_one_and_never_stops_it(self, studio: Studio) -> None:
        words: list[str] = []

        async def other() -> None:
            async with studio.pool.lease(
                studio.spec("new", GB * 6 // 10), waiting=lambda what: words.append(what.words)
            ):
                pass

        async with studio.pool.lease(studio.spec("creatures", GB * 6 // 10)) as worker:
            waiting = asyncio.create_task(other())
            assert isinstance((await studio.play(worker, "step:0.3"))[-1], protocol.Done)
            assert words == ["waits for memory: creatures holds 0.6 GB, busy"]
        await waiting

    @pytest.mark.parametrize(("owner", "name"), [("ana", "secret"), ("eva", "•••"), ("", "•••")])
    async def test_who_waits_for_somebody_elses_own_model_does_not_hear_its_name(
        self, studio: Studio, owner: str, name: str
    ) -> None:
        told: list[Waiting] = []
        async with studio.pool.lease(replace(studio.spec("secret", GB * 6 // 10), owner="ana")):
            pass
        new = replace(studio.spec("new", GB * 6 // 10), owner=owner)
        async with studio.pool.lease(new, waiting=told.append):
            assert told[0].words == f"waits for memory: {name} holds 0.6 GB, stopping"
            assert [holder.model for holder in told[0].holders] == [name]

    async def test_keeps_what_needs_not_go(self, studio: Studio) -> None:
        for model, load_seconds in (("a", 0.0), ("b", 0.3)):  # b would be missed more
            async with studio.pool.lease(studio.spec(model, GB * 4 // 10, load_seconds=load_seconds)):
                pass
        async with studio.pool.lease(studio.spec("c", GB * 4 // 10)):
            assert {info.model for info in studio.pool.running()} == {"b", "c"}

    async def test_memory_that_other_programs_hold_is_waited_for(self, open_studio: MakeStudio) -> None:
        gpu = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        gpu.free[0] = GB // 10
        studio = await open_studio(devices=gpu.devices(), monitor=GPUMonitor(gpu))
        words: list[str] = []

        async def use() -> None:
            async with studio.pool.lease(studio.spec(size=GB // 2), waiting=lambda what: words.append(what.words)):
                pass

        waiting = asyncio.create_task(use())
        await asyncio.sleep(0.3)
        assert words == ["waits for memory: other programs use it, m needs 0.5 GB"] and not studio.pool.running()
        gpu.free[0] = GB
        await asyncio.wait_for(waiting, 5)

    async def test_an_unload_that_lies_admits_nobody(self, open_studio: MakeStudio) -> None:
        gpu = ScriptedDevices([Device(0, "cuda", "Scripted", GB, GB)])
        studio = await open_studio(devices=gpu.devices(), monitor=GPUMonitor(gpu))
        async with studio.pool.lease(studio.spec("old", GB * 6 // 10)):
            gpu.free[0] = GB * 4 // 10
        waiting = asyncio.create_task(_use(studio, "new", GB * 6 // 10))
        await until(lambda: any(info.state.is_over for info in studio.heard))
        await asyncio.sleep(0.5)
        assert not waiting.done() and "new" not in {info.model for info in studio.heard}
        gpu.free[0] = GB
        await asyncio.wait_for(waiting, 5)


async def _use(studio: Studio, model: str, size: int) -> None:
    async with studio.pool.lease(studio.spec(model, size)):
        pass


class TestGivingUp:
    async def test_a_cancelled_wait_leaves_nothing_behind(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec("a", GB)):
            waiting = asyncio.create_task(_use(studio, "b", GB))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.wait_for(_use(studio, "a", GB), 2)
        assert "b" not in {info.model for info in studio.heard}

    async def test_cancelled_at_any_moment_the_next_one_is_served(self, studio: Studio) -> None:
        await studio.pool.prepare("fake")
        for pause in (0.0, 0.001, 0.005, 0.02, 0.05):
            for model in ("a", "b"):
                waiting = asyncio.create_task(_use(studio, model, GB))
                await asyncio.sleep(pause)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
        await asyncio.wait_for(_use(studio, "c", GB), 10)

    async def test_an_abandoned_run_is_cancelled_and_its_worker_used_again(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            pid = worker.info.pid
            async for _ in worker.run(studio.task("step:0", "step:30")):
                break
        began = time.monotonic()
        async with studio.pool.lease(studio.spec()) as again:
            assert again.info.pid == pid
            assert isinstance((await studio.play(again, "file"))[-1], protocol.Done)
        assert time.monotonic() - began < 3

    async def test_an_abandoned_run_that_goes_on_costs_the_worker(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            pid = worker.info.pid
            async for _ in worker.run(studio.task("step:0", "hang")):
                break
        began = time.monotonic()
        async with studio.pool.lease(studio.spec()) as another:
            assert another.info.pid != pid
        assert time.monotonic() - began < 10

    async def test_the_holder_is_cancelled_in_the_middle_of_a_run(self, studio: Studio) -> None:
        async def hold() -> None:
            async with studio.pool.lease(studio.spec()) as worker:
                await studio.play(worker, "step:0", "step:30")

        holding = asyncio.create_task(hold())
        await until(lambda: "busy" in [info.state for info in studio.heard])
        await asyncio.sleep(0.1)
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        await asyncio.wait_for(_use(studio, "m", GB // 10), 5)


class TestStopping:
    async def test_idle_workers_are_stopped_after_a_while(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(idle_seconds=0.2)
        async with studio.pool.lease(studio.spec()) as worker:
            await asyncio.sleep(1.0)
            assert worker.state is WorkerState.BUSY
        await until(lambda: not studio.pool.running(), 5)
        assert studio.states(worker.id)[-1] == "stopped"

    async def test_stop_worker_ends_a_busy_one_with_words(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            running = asyncio.create_task(studio.play(worker, "step:0", "hang"))
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(studio.pool.stop_worker(worker.id))
            with pytest.raises(WorkerLost) as lost:
                await running
        assert lost.value.cause.code == "stopped" and not lost.value.crash
        await stopping
        assert studio.pool.running() == []

    async def test_stop_worker_that_is_not_there(self, studio: Studio) -> None:
        with pytest.raises(WorkerNotFound):
            await studio.pool.stop_worker("w-none")

    async def test_who_waits_for_a_stopped_start_gets_another(self, studio: Studio) -> None:
        waiting = asyncio.create_task(_use(studio, "m", GB // 10))
        await until(studio.pool.running)
        await studio.pool.stop_worker(studio.pool.running()[0].id)
        await asyncio.wait_for(waiting, 10)
        assert len({info.id for info in studio.heard}) == 2

    async def test_close_refuses_who_waits(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec("a", GB)):
            waiting = asyncio.create_task(_use(studio, "b", GB))
            await asyncio.sleep(0.05)
            closing = asyncio.create_task(studio.pool.close())
            with pytest.raises(Unavailable, match="stopping"):
                await waiting
        await closing
        with pytest.raises(Unavailable):
            await _use(studio, "a", GB)

    async def test_close_in_the_middle_of_a_start(self, studio: Studio) -> None:
        waiting = asyncio.create_task(_use(studio, "m", GB))
        await until(studio.pool.running)
        await studio.pool.close()
        with pytest.raises(Unavailable):
            await waiting
        assert studio.left_over() == []


class TestStartFailures:
    async def test_a_model_that_refuses_to_load(self, studio: Studio) -> None:
        with pytest.raises(WorkerStartFailed, match="the fake engine was told to fail") as failed:
            await _lease(studio, load_fails="bad_model")
        assert not failed.value.crash

    @pytest.mark.parametrize(("how", "words"), [("sigsegv", "segmentation fault"), ("exit3", "exit code 3")])
    async def test_a_crash_while_loading(self, studio: Studio, how: str, words: str) -> None:
        with pytest.raises(WorkerStartFailed, match=words) as failed:
            await _lease(studio, load_crashes=how)
        assert failed.value.crash and "while it loaded the model" in failed.value.message
        assert f"about to crash by {how}" in failed.value.log_tail

    async def test_a_start_beyond_its_deadline(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(start_seconds=2.0)
        began = time.monotonic()
        with pytest.raises(WorkerStartFailed, match="not ready within 2 seconds"):
            await _lease(studio, load_seconds=60)
        assert time.monotonic() - began < 4
        await _lease(studio)

    async def test_all_who_joined_hear_of_it(self, studio: Studio) -> None:
        results = await asyncio.gather(*(_lease(studio, load_fails="x") for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [WorkerStartFailed] * 3
        assert len({info.id for info in studio.heard}) == 1

    async def test_an_idle_worker_that_hangs_is_replaced(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            worker.deadlines = replace(worker.deadlines, health=0.5)
            pid = worker.info.pid
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(1.1)

        async def pin() -> None:
            """While whoever wants it waits for its answer."""
            await asyncio.sleep(0.2)
            studio.pool.set_policy("m", pinned=True, ttl_seconds=7.0)

        pinning = asyncio.create_task(pin())
        async with studio.pool.lease(studio.spec()) as another:
            assert another.info.pid != pid
            assert [one.pinned for one in studio.pool.running() if one.id == another.id] == [True]
        await pinning

    async def test_an_idle_worker_that_died_is_replaced(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            pid = worker.info.pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not studio.pool.running())
        assert studio.heard[-1].state is WorkerState.FAILED and "while it was idle" in studio.heard[-1].message
        await _lease(studio)


class TestForkserver:
    async def test_its_death_takes_its_workers_and_the_next_lease_works(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            running = asyncio.create_task(studio.play(worker, "step:0", "step:30"))
            await asyncio.sleep(0.2)
            os.kill(worker_parent(worker.info.pid), signal.SIGKILL)
            with pytest.raises(WorkerLost):
                await running
        await _lease(studio)

    async def test_one_that_hangs_is_set_aside(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(start_seconds=2.0)
        async with studio.pool.lease(studio.spec("a")) as worker:
            parent = worker_parent(worker.info.pid)
            os.kill(parent, signal.SIGSTOP)
            with pytest.raises(WorkerStartFailed):
                await _lease(studio, "b")
            await _lease(studio, "b")
            assert isinstance((await studio.play(worker, "file"))[-1], protocol.Done)


def worker_parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


async def _lease(studio: Studio, model: str = "m", **options: object) -> None:
    async with studio.pool.lease(studio.spec(model, **options)):
        pass


async def test_what_memory_ran_out_for_is_told_from_other_failures(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "oom_kills", itertools.count().__next__)  # the kernel counts on and on
    for options, expected in (
        ({"load_fails": "out_of_memory"}, True),
        ({"load_fails": "parser_unknown"}, False),
        ({"load_crashes": "sigkill"}, True),
        ({"load_crashes": "exit3"}, False),
    ):
        with pytest.raises(WorkerStartFailed) as failed:
            await _lease(studio, str(options), **options)
        assert failed.value.out_of_memory is expected, options


async def test_what_a_server_of_a_library_holds_of_a_gpu_the_driver_says(open_studio: MakeStudio) -> None:
    class Driver(ScriptedDevices):
        """Every process below this one has 3 MB of device 0."""

        def sample(self) -> list[DeviceSample]:
            below = [DeviceProcess(one.pid, 3_000_000) for one in psutil.Process().children(recursive=True)]
            return [replace(super().sample()[0], processes=tuple(below))]

    device = Device(0, "cuda", "H200", 2 * GB, GB)
    studio = await open_studio(devices=[device], monitor=GPUMonitor(Driver([device])))
    async with studio.pool.lease(studio.spec(device="cuda", task="chat")) as worker:
        assert worker.load_peak_bytes == 6_000_000, "the worker and its server"
        [server] = processes.below(worker.info.pid)
        assert worker.info.rss_bytes > processes.rss(worker.info.pid) + processes.rss(server) // 2
    silent = await open_studio(devices=[device], monitor=GPUMonitor(ScriptedDevices([device])))
    async with silent.pool.lease(silent.spec(device="cuda", task="chat")) as worker:
        assert worker.load_peak_bytes == 0, "nothing is learned from what nobody measured"


async def test_a_driver_that_takes_its_time_holds_nobody_up_but_who_asked_for_that_worker(
    open_studio: MakeStudio,
) -> None:
    class Slow(ScriptedDevices):
        asked = 0.0

        def sample(self) -> list[DeviceSample]:
            self.asked = time.monotonic()
            time.sleep(0.5)
            held = [DeviceProcess(one.pid, 3_000_000) for one in psutil.Process().children(recursive=True)]
            return [replace(super().sample()[0], processes=tuple(held))]

    device = Device(0, "cuda", "H200", 2 * GB, GB)
    source = Slow([device])
    studio = await open_studio(devices=[device], monitor=GPUMonitor(source))
    spec = studio.spec(device="cuda", task="chat")
    asking = asyncio.create_task(leased(studio, spec))
    await until(lambda: source.asked)
    turns = 0
    while not asking.done():
        studio.pool.hurry(spec, 1)  # the line is looked at again and again while the driver thinks
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10, "the event loop stood still"
    assert (await asking).load_peak_bytes == 6_000_000, "handed out before it was measured"


async def leased(studio: Studio, spec: WorkerSpec) -> Worker:
    async with studio.pool.lease(spec) as worker:
        return worker


async def test_a_lease_grows_only_where_nobody_gives_way(studio: Studio) -> None:
    async with studio.pool.lease(studio.spec(size=GB // 2)) as worker:
        assert studio.pool.can_grow(worker, GB) and worker.leased == GB // 2
        assert studio.pool.grow(worker, 3 * GB // 4) and studio.pool.leased_bytes(0) == 3 * GB // 4
        assert studio.pool.grow(worker, GB // 4) and worker.leased == 3 * GB // 4, "it never shrinks"
        assert not studio.pool.grow(worker, GB + 1) and worker.leased == 3 * GB // 4
        waiting = asyncio.create_task(hold(studio, studio.spec("other", GB // 2)))
        await asyncio.sleep(0.05)
        assert not studio.pool.grow(worker, GB), "somebody waits for that memory"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def hold(studio: Studio, spec: WorkerSpec) -> None:
    async with studio.pool.lease(spec):
        pass
