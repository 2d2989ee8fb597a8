"""SIGKILL while jobs are under way: nothing promised is lost, nothing is there twice, nothing is left over.

A kill counts when it fell upon work: a job was running in the database of the dead server, or its worker died under a
job, or the process died at a named point, which only work passes. ATELIER_TEST_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import Counter
from typing import Any

import pytest
from atelier.failpoints import NAMES
from engines.failpoints import POINTS
from tests.faults import oracle, proc
from tests.faults.victim import READY_SECONDS, MakeVictim, Victim, until

SEED = int(os.environ.get("ATELIER_TEST_SEED") or secrets.randbits(32))
RANDOM_KILLS = ["server"] * 11 + ["both"] * 8 + ["worker"] * 9 + ["forkserver"] * 3
ENGINE_KILLS = 5
"""At each point of the engine, at least."""


async def check(victims: list[Victim], effective: Counter[str], least: int) -> None:
    for victim in victims:
        wrong = await oracle.examine(victim)
        assert not wrong, "\n".join([*wrong[:20], victim.words()])
    assert sum(effective.values()) >= least, f"only {effective} fell upon work; seed {SEED}"
    ready = sorted(seconds for victim in victims for seconds in victim.ready_seconds)
    gone = sorted(seconds for victim in victims for seconds in victim.orphan_seconds)
    assert ready[len(ready) // 2] <= READY_SECONDS, f"restarts take {ready[len(ready) // 2]:.1f} s; seed {SEED}"
    assert ready[-1] <= 3 * READY_SECONDS, f"a restart took {ready[-1]:.1f} s; seed {SEED}"
    stood = max(victim.standstill.longest for victim in victims)
    still = [line for victim in victims for line in victim.standstill.wrong]
    assert all(victim.standstill.looks for victim in victims) and not still, f"{still[:3]}; seed {SEED}"
    jobs = sum(len(victim.ledger.asked) for victim in victims)
    again = sum(asked.lost for victim in victims for asked in victim.ledger.asked.values())
    print(
        f"\n{dict(effective)} kills fell upon work, {jobs} jobs promised, {again} answers lost; "
        f"ready after {ready[len(ready) // 2]:.2f} s (at most {ready[-1]:.2f}), "
        f"processes gone after {gone[len(gone) // 2]:.2f} s (at most {gone[-1]:.2f}), "
        f"nothing stood still for more than {stood:.1f} s; seed {SEED}",
        file=sys.stderr,
    )


# ── at named points ──


async def kill_at_points(victim: Victim, names: list[str], effective: Counter[str]) -> None:
    for name in names:
        # Only a line of jobs that are alike passes the place where others are brought into a run.
        shares = name == "jobs.after_bring"
        count = 1 if shares else victim.random.randint(1, 2)
        await victim.start(failpoints=f"{name}=kill@{count}", ATELIER_SHARE_BATCHES="auto" if shares else "never")
        if shares:
            asking = [asyncio.create_task(victim.ask(steps=4)) for _ in range(12)]
        else:
            asking = [asyncio.create_task(one_job(victim, cancel=name == "jobs.after_cancel_mark")) for _ in range(4)]
        assert await victim.died() == -9
        victim.observe()
        if name == "jobs.after_cancel_mark":
            assert await cancel_marks(victim), f"the mark was not kept; seed {SEED}"
        effective[name] += 1
        await victim.start()
        await asyncio.gather(*asking)
        assert not await oracle.wait_for_quiet(victim, 20)
        await victim.stop()
        victim.observe()


async def one_job(victim: Victim, *, cancel: bool) -> None:
    asked = await victim.ask(steps=victim.random.randint(2, 6), num_outputs=victim.random.randint(1, 3))
    if cancel:
        while (await victim.cancel(asked)) is None:
            return


async def cancel_marks(victim: Victim) -> list[str]:
    with victim.rows() as db:
        return [row["id"] for row in db.execute("SELECT id FROM jobs WHERE cancel_requested OR status = 'cancelled'")]


async def test_at_every_point_of_the_server(make_victim: MakeVictim) -> None:
    effective: Counter[str] = Counter()
    victims = [make_victim(f"{SEED}/point/{lane}") for lane in range(2)]
    names = [*NAMES, "jobs.after_claim", "images.mid_rename", "jobs.before_finish_commit"]
    await asyncio.gather(*(kill_at_points(victims[lane], names[lane::2], effective) for lane in range(2)))
    assert set(effective) == set(NAMES)
    for victim in victims:
        await victim.start()
    await check(victims, effective, len(names))


async def test_at_every_point_of_the_engine(make_victim: MakeVictim) -> None:
    """The nth pass of each worker: every job but the first is hit, and none twice."""
    effective: Counter[str] = Counter()
    victims = [make_victim(f"{SEED}/engine/{lane}") for lane in range(2)]

    async def kill_workers(victim: Victim, points: tuple[str, ...]) -> None:
        for point in points:
            nth = victim.random.randint(4, 5) if point == "engine.mid_step" else 2
            before = victim.crashes() if victim.data.exists() else 0
            await victim.start(failpoints=f"{point}=kill@{nth}")
            asked = [await victim.ask(steps=3) for _ in range(ENGINE_KILLS + 1)]
            for each in asked:
                await victim.when(each, "completed")
            effective[point] += victim.crashes() - before
            assert effective[point] >= ENGINE_KILLS, f"{point}: {effective}; seed {SEED}"
            await victim.stop()

    await asyncio.gather(kill_workers(victims[0], POINTS[:2]), kill_workers(victims[1], POINTS[2:]))
    for victim in victims:
        await victim.start()
    await check(victims, effective, ENGINE_KILLS * len(POINTS))


# ── at random times ──


async def kill_at_random(victim: Victim, targets: list[str], effective: Counter[str]) -> None:
    asking: set[asyncio.Task[Any]] = set()
    await victim.start()
    for target in targets:
        for _ in range(10):  # a kill that fell upon nothing is tried again
            for _ in range(2):
                asking.add(asyncio.create_task(one_job(victim, cancel=victim.random.random() < 0.1)))
            if await one_kill(victim, target, asking):
                effective[target] += 1
                break
        else:
            pytest.fail(f"ten kills of the {target} fell upon nothing; seed {SEED}")
    await asyncio.gather(*asking)


async def one_kill(victim: Victim, target: str, asking: set[asyncio.Task[Any]]) -> bool:
    """Kill at a random moment of a run, while a request is on its way; whether it fell upon a running job."""
    running = await victim.when_running()
    await asyncio.sleep(victim.random.uniform(0, 0.25))
    asking.add(asyncio.create_task(one_job(victim, cancel=False)))
    await asyncio.sleep(victim.random.uniform(0, 0.02))
    victim.ledger.note("kill", target=target)
    if target in {"server", "both"}:
        await victim.kill(also_worker=target == "both")
        hit = bool(victim.running_rows())
        victim.observe()
        if victim.random.random() < 0.5:
            await victim.orphans()  # sometimes the next server meets what is left of this one, sometimes not
        await victim.start()
        return hit
    before = victim.crashes()
    fresh = [job for job in running if not (job["message"] or "").startswith("Started again")]
    if not fresh or has_crashed(victim, fresh[0]["id"]):
        return False  # twice is poison: that is another test
    for pid in victim.workers() if target == "worker" else victim.forkservers():
        proc.kill(pid)
    try:
        await until(lambda: victim.crashes() > before, 3)
    except AssertionError:
        return False
    return True


def has_crashed(victim: Victim, job_id: str) -> bool:
    with victim.rows() as db:
        return bool(db.execute("SELECT crashes FROM jobs WHERE id = ?", (job_id,)).fetchone()[0])


async def test_of_runs_that_several_jobs_share(make_victim: MakeVictim) -> None:
    """The deaths of servers, which condemn no job however many of them were in the run."""
    effective: Counter[str] = Counter()
    victims = [make_victim(f"{SEED}/shared/{lane}", ATELIER_SHARE_BATCHES="auto") for lane in range(2)]
    targets = ["server", "both"] * 5
    await asyncio.gather(*(kill_at_random(victims[lane], targets[lane::2], effective) for lane in range(2)))
    await check(victims, effective, len(targets))


async def test_at_random_times(make_victim: MakeVictim) -> None:
    effective: Counter[str] = Counter()
    victims = [make_victim(f"{SEED}/random/{lane}") for lane in range(2)]
    for victim in victims:
        victim.random.shuffle(RANDOM_KILLS)
    targets = RANDOM_KILLS[:]
    await asyncio.gather(*(kill_at_random(victims[lane], targets[lane::2], effective) for lane in range(2)))
    await check(victims, effective, len(RANDOM_KILLS))
