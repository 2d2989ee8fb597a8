"""A worker that crashes, falls silent, floods or ignores a cancel: right words, nobody else touched, nothing left."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from atelier.errors import WorkerDied
from atelier.runtime import logtail, processes
from atelier.runtime.exits import WorkerLost
from engines import protocol
from tests.runtime.studio import GB, MakeStudio, Studio, until


async def lose(studio: Studio, *script: str) -> WorkerLost:
    async with studio.pool.lease(studio.spec("bad")) as worker:
        with pytest.raises(WorkerDied) as died:
            await studio.play(worker, *script)
    assert isinstance(died.value, WorkerLost)
    return died.value


class TestCrash:
    @pytest.mark.parametrize(
        ("how", "code", "words"),
        [
            ("sigsegv", "segfault", "crashed in native code (segmentation fault) during a run"),
            (
                "sigkill",
                "killed",
                "killed from outside during a run, most likely because the machine ran out",
            ),
            ("abort", "aborted", "gave up by itself (abort) during a run"),
            ("exit3", "exit_code", "ended with exit code 3 during a run"),
        ],
    )
    async def test_says_why_and_a_neighbour_goes_on(self, studio: Studio, how: str, code: str, words: str) -> None:
        async with studio.pool.lease(studio.spec("good")) as good:
            neighbour = asyncio.create_task(studio.play(good, "step:0.3", "step:0.3", "file"))
            began = time.monotonic()
            lost = await lose(studio, "step:0", f"crash:{how}")
            assert time.monotonic() - began < 5
            assert isinstance((await neighbour)[-1], protocol.Done)
        assert lost.cause.code == code and words in lost.message and lost.crash
        assert lost.hint and f"about to crash by {how}" in lost.log_tail
        failed = next(info for info in studio.heard if info.state == "failed")
        assert failed.message == lost.message and failed.model == "bad"

    async def test_the_next_lease_gets_a_new_worker(self, studio: Studio) -> None:
        await lose(studio, "crash:sigsegv")
        async with studio.pool.lease(studio.spec("bad")) as worker:
            assert isinstance((await studio.play(worker, "file"))[-1], protocol.Done)

    async def test_the_last_lines_outlive_the_log(self, studio: Studio) -> None:
        """The pool removes the log as soon as the worker is gone; who waits for the reason still reads it."""
        async with studio.pool.lease(studio.spec()) as worker:
            with pytest.raises(WorkerDied):
                await studio.play(worker, "crash:abort")
            await until(lambda: not worker.log_path.exists(), 5)
            with pytest.raises(WorkerDied) as later:
                await studio.play(worker, "file")
        assert "about to crash by abort" in (later.value.log_tail or "")

    async def test_updates_before_the_crash_arrive(self, studio: Studio) -> None:
        seen = []
        async with studio.pool.lease(studio.spec()) as worker:
            with pytest.raises(WorkerDied):
                async for update in worker.run(studio.task("step:0.05", "step:0.1", "crash:sigkill")):
                    seen.append(update)
        assert isinstance(seen[0], protocol.Progress) and seen[0].step == 1

    async def test_a_run_on_a_worker_that_is_gone(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            os.kill(worker.info.pid, signal.SIGKILL)
            await worker.gone()
            with pytest.raises(WorkerDied):
                await studio.play(worker, "file")


class TestSilence:
    async def test_a_stopped_process_is_ended(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(silence_seconds=1.5)
        began = time.monotonic()
        lost = await lose(studio, "step:0", "silent")
        assert lost.cause.code == "silent" and "said nothing for 1.5 seconds" in lost.message
        await until(lambda: not studio.pool.running(), 5)
        assert time.monotonic() - began < 6

    async def test_heartbeats_alone_are_not_enough(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(step_seconds=2.5)
        began = time.monotonic()
        lost = await lose(studio, "step:0", "step:1.5", "step:1.5", "hang")
        assert lost.cause.code == "stuck" and "made no step for 2.5 seconds" in lost.message and lost.hint
        assert 5 < time.monotonic() - began < 12

    async def test_heartbeats_keep_a_slow_run_alive(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(silence_seconds=1.5)
        async with studio.pool.lease(studio.spec()) as worker:
            updates = await studio.play(worker, "step:2.5")
        assert isinstance(updates[-1], protocol.Done)
        assert any(isinstance(update, protocol.Heartbeat) for update in updates)


class TestCancel:
    async def test_ends_at_the_next_step(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            pid = worker.info.pid
            task = studio.task("step:0", "step:30")
            running = asyncio.create_task(_all(worker.run(task)))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            await worker.cancel(task.task_id)
            assert isinstance((await running)[-1], protocol.Cancelled)
            assert time.monotonic() - began < 2
            await worker.cancel(task.task_id)
            assert isinstance((await studio.play(worker, "file"))[-1], protocol.Done)
            assert worker.info.pid == pid

    @pytest.mark.parametrize("script", [["hang"], ["ignore_cancel", "step:60"], ["silent", "step:60"]])
    async def test_a_run_that_ignores_it_is_ended_with_its_worker(self, studio: Studio, script: list[str]) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            task = studio.task("step:0", *script)
            running = asyncio.create_task(_all(worker.run(task)))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            await worker.cancel(task.task_id, grace=0.5)
            try:
                assert isinstance((await running)[-1], protocol.Cancelled), "a stopped one hears it when it goes on"
            except WorkerLost as lost:
                assert lost.cause.code == "cancel_ignored" and not lost.crash
            assert time.monotonic() - began < 4.5
            await asyncio.wait_for(worker.gone(), 5)

    async def test_of_another_task_touches_nothing(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            running = asyncio.create_task(studio.play(worker, "step:0.3"))
            await asyncio.sleep(0.05)
            await worker.cancel("somebody-elses")
            assert isinstance((await running)[-1], protocol.Done)

    async def test_twice_at_once(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            task = studio.task("step:30")
            running = asyncio.create_task(_all(worker.run(task)))
            await asyncio.sleep(0.2)
            await asyncio.gather(worker.cancel(task.task_id), worker.cancel(task.task_id))
            assert isinstance((await running)[-1], protocol.Cancelled)

    async def test_at_random_moments(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            for pause in (0, 0.001, 0.004, 0.01, 0.02, 0.03, 0.05):
                task = studio.task("step:0.01", "step:0.01")
                running = asyncio.create_task(_all(worker.run(task)))
                await asyncio.sleep(pause)
                await worker.cancel(task.task_id)
                assert isinstance((await running)[-1], protocol.Done | protocol.Cancelled)


class TestGrandchildren:
    async def test_end_with_their_worker(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            updates = await studio.play(worker, "fork_grandchild")
        child = _grandchild(updates)
        assert processes.is_alive(child)
        await studio.pool.stop_worker(worker.id)
        assert not processes.is_alive(child)

    async def test_end_when_their_worker_crashes(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            child = _grandchild(await studio.play(worker, "fork_grandchild"))
            with pytest.raises(WorkerDied):
                await studio.play(worker, "crash:sigkill")
        await until(lambda: not processes.is_alive(child), 5)

    async def test_strays_in_a_session_of_their_own_end_after_a_crash(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec("good")) as good:
            neighbour = asyncio.create_task(studio.play(good, "step:1"))
            async with studio.pool.lease(studio.spec("bad")) as worker:
                env = processes.environment(worker.info.pid)
                stray = await _orphan(env)
                assert processes.is_alive(stray)
                with pytest.raises(WorkerDied):
                    await studio.play(worker, "crash:abort")
            await until(lambda: not processes.is_alive(stray), 5)
            assert isinstance((await neighbour)[-1], protocol.Done)


class TestFlood:
    async def test_a_log_of_hundreds_of_megabytes_is_cut(self, studio: Studio) -> None:
        async with studio.pool.lease(studio.spec()) as worker:
            path = studio.folder / "l" / f"{worker.id}.log"
            updates = await studio.play(worker, f"stdout_flood:{GB * 3 // 10}", "step:0")
            assert isinstance(updates[-1], protocol.Done)
            await until(lambda: path.stat().st_size <= logtail.MAX_BYTES, 5)
            tail = worker.info.log_tail
            assert len(tail) > 10
            assert all(len(line) <= logtail.LINE_CHARACTERS + 1 for line in tail)


async def _all(updates: object) -> list[protocol.Update]:
    return [update async for update in updates]  # type: ignore[attr-defined]


def _grandchild(updates: list[protocol.Update]) -> processes.Process:
    message = next(u.message for u in updates if isinstance(u, protocol.Progress) and u.message)
    found = processes.look(int(message.split()[-1]))
    assert found is not None
    return found


async def _orphan(env: dict[str, str]) -> processes.Process:
    """A process with the environment of a worker whose parent has ended and which leads a session of its own."""
    shell = await asyncio.create_subprocess_exec(
        "setsid", "--fork", "sh", "-c", "echo $$; exec sleep 300 >/dev/null", stdout=asyncio.subprocess.PIPE, env=env
    )
    assert shell.stdout is not None
    found = processes.look(int(await shell.stdout.readline()))
    await shell.wait()
    assert found is not None
    return found
