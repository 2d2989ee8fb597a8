"""What an engine does to itself stays with the job that made it do so: the server and the neighbours live on."""

from __future__ import annotations

import asyncio
import time

from tests.faults import oracle, proc
from tests.faults.rigs import SHORT_SILENCE
from tests.faults.victim import MakeVictim, Victim

FLOOD_BYTES = 100_000_000
CRASHES = ["sigsegv", "abort", "sigkill", "exit3"]


async def neighbours_complete(victim: Victim, pid: int | None) -> None:
    for asked in victim.ledger.asked.values():
        job = await victim.when(asked)
        assert job["status"] == asked.expected, f"{job} {victim.words()}"
        if asked.expected == "completed":
            assert job["attempt"] == 1, f"a neighbour was disturbed: {job}"
    assert victim.pid == pid and victim.launcher.status(pid) is None, "the server did not survive"
    assert (await victim.get("/health"))["status"] == "ok"


async def test_a_job_that_crashes_its_worker_is_given_up_after_two(make_victim: MakeVictim) -> None:
    """Each way to crash, at once and halfway, between neighbours that complete at their first attempt."""
    victim = make_victim()
    await victim.start()
    pid = victim.pid
    poison = []
    for how in CRASHES:
        for before in ("", "fake:file fake:step:0.05 "):
            poison.append(await victim.ask(f"{before}fake:crash:{how}", expected="failed"))
        await victim.ask(steps=1)
    await victim.ask(steps=1)
    await neighbours_complete(victim, pid)
    for asked in poison:
        job = await victim.job(asked)
        assert job["error"]["code"] == "poison" and job["attempt"] == 2, job
        assert job["error"]["hint"] and job["error"]["message"]
    assert not await oracle.examine(victim)


async def test_a_flood_of_output_is_cut_and_an_error_is_told(make_victim: MakeVictim) -> None:
    victim = make_victim()
    await victim.start()
    pid = victim.pid
    await victim.ask(f"fake:stdout_flood:{FLOOD_BYTES} fake:step:1", steps=1)
    failing = await victim.ask("fake:fail:out_of_paint", expected="failed")
    await victim.ask(steps=1)
    await neighbours_complete(victim, pid)
    assert sum(path.stat().st_size for path in (victim.data / "logs").iterdir()) < FLOOD_BYTES / 2
    job = await victim.job(failing)
    assert job["error"]["code"] == "out_of_paint" and job["error"]["hint"] and job["attempt"] == 1
    assert not await oracle.examine(victim)


async def test_a_stopped_worker_loses_its_job_to_the_next(make_victim: MakeVictim) -> None:
    """SIGSTOP: silence, the attempt is taken back, the second finishes; what the first might still do is void."""

    async def lane(number: int) -> None:
        victim = make_victim(number)
        await victim.start(rigs=("short_silence",))
        pid = victim.pid
        for _ in range(3):
            asked = await victim.ask(steps=30, num_outputs=2)
            await victim.when_running()
            await asyncio.sleep(victim.random.uniform(0, 0.4))
            (worker,) = victim.workers()
            proc.kill(worker, proc.signal.SIGSTOP)
            stopped = time.monotonic()
            job = await victim.when(asked)
            took = time.monotonic() - stopped
            proc.kill(worker, proc.signal.SIGCONT)
            assert job["status"] == "completed" and job["attempt"] == 2, f"{job} {victim.words()}"
            assert took < SHORT_SILENCE + 8, f"it took {took:.1f} s"
            assert proc.started(worker) is None, "the worker that fell silent is still there"
        assert victim.pid == pid and victim.launcher.status(pid) is None
        assert not await oracle.examine(victim)

    await asyncio.gather(*(lane(number) for number in range(2)))


async def test_a_worker_stopped_by_the_administrator(make_victim: MakeVictim) -> None:
    """The page says that its job is started again on another: it is."""
    victim = make_victim()
    await victim.start()
    for attempts in (2, 1):  # stopped while it works, then while it waits
        asked = await victim.ask(steps=30)
        await (victim.when_running() if attempts == 2 else victim.when(asked))
        (worker,) = (await victim.get("/api/system"))["workers"]
        status, _ = await victim.call("POST", f"/api/system/workers/{worker['id']}/stop")
        assert status == 200
        job = await victim.when(asked)
        assert job["status"] == "completed" and job["attempt"] == attempts, job
    assert not await oracle.examine(victim)
