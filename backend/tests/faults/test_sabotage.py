"""Each defence switched off in turn: the check that guards it has to go red, or it guards nothing.

A check is a short piece of the tests of this folder. It is run on the product as it is, where it must find nothing, and
with one defence off (`tests.faults.rigs`, in the server process only), where it must find what that defence prevents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from atelier.db import Database
from atelier.jobs import direct, store
from tests.databases import migrated
from tests.faults import oracle, proc, rigs, test_fencing
from tests.faults.victim import MakeVictim, Victim, until

QUIET_SECONDS = 4.0
Check = Callable[[Victim, tuple[str, ...]], Awaitable[list[str]]]


async def killed_at(point: str, victim: Victim, off: tuple[str, ...]) -> list[str]:
    """Kill the server at a point; the next goes on. What the oracle says then."""
    await victim.start(failpoints=f"{point}=kill", rigs=off)
    asking = asyncio.create_task(victim.ask(steps=3, num_outputs=2))
    await victim.died()
    await victim.start(rigs=off)
    await asking
    return await examine(victim, off)


async def examine(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """What ends at all ends soon; a slow machine gets time where nothing is wrong."""
    return await oracle.examine(victim, quiet_seconds=QUIET_SECONDS if off else 30)


async def promise_before_death(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """One request after the other, the server dies in the second one's commit."""
    await victim.start(failpoints="jobs.before_commit=kill@2", rigs=off)
    first = await victim.ask(steps=1)
    await victim.when_listed(first)
    second = asyncio.create_task(victim.ask(steps=1))
    await victim.died()
    await victim.start(rigs=off)
    await second
    await asyncio.sleep(0.5 if off else 0)
    return await examine(victim, off)


async def publication(victim: Victim, off: tuple[str, ...]) -> list[str]:
    return await killed_at("jobs.before_finish_commit", victim, off)


async def recovery(victim: Victim, off: tuple[str, ...]) -> list[str]:
    return await killed_at("jobs.after_claim", victim, off)


async def sweeping(victim: Victim, off: tuple[str, ...]) -> list[str]:
    return await killed_at("jobs.after_finish_commit", victim, off)


async def sending_again(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """The job was committed, its answer was lost: the client sends the request again."""
    return await killed_at("jobs.after_commit", victim, off)


async def orphans(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """Kill the server under a long run; what is left of it after five seconds."""
    await victim.start(rigs=off)
    await victim.ask("fake:hang", expected="cancelled")
    await victim.when_running_at_all()
    await victim.kill()
    return await victim.orphans()


async def leftovers(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """What a server left because its workers noticed nothing, the next one ends at its start."""
    await victim.start(rigs=("sabotage_lifelines",))
    hung = await victim.ask("fake:hang")
    await victim.when_running_at_all()
    dead = victim.mark
    await victim.kill()
    assert await victim.orphans()
    await victim.start(rigs=off)
    left = [f"process {pid} of an earlier server" for pid in proc.marked(dead)]
    await victim.cancel(hung)
    return left


async def poison(victim: Victim, off: tuple[str, ...]) -> list[str]:
    await victim.start(rigs=off)
    await victim.ask("fake:crash:sigkill", expected="failed")
    return await examine(victim, off)


async def one_server(victim: Victim, off: tuple[str, ...]) -> list[str]:
    """Start a second server on the folder of a first."""
    await victim.start(rigs=off)
    pid, position = victim.spawn(rigs=off)
    try:
        up = await until(lambda: victim.bound(position) or victim.launcher.status(pid) is not None, 20, victim.words)
    finally:
        proc.kill(pid)
    return ["two servers use one folder"] if isinstance(up, str) else []


# The defence that is switched off -> the check that has to notice, and a word of what it has to say.
TABLE: dict[str, tuple[Check, str]] = {
    "sabotage_commit_before_answer": (promise_before_death, "lost"),
    "sabotage_one_transaction": (publication, "does not have the pictures"),
    "sabotage_recovery": (recovery, "still wait or run"),
    "sabotage_recovery_cancels": (recovery, "is cancelled and not"),
    "sabotage_sweeper": (sweeping, "left in staging"),
    "sabotage_idempotency": (sending_again, "was never promised to anybody"),
    "sabotage_lifelines": (orphans, "outlived"),
    "sabotage_reaper": (leftovers, "of an earlier server"),
    "sabotage_poison_limit": (poison, "still wait or run"),
    "sabotage_folder_lock": (one_server, "two servers"),
}
UNIT = {"sabotage_fencing"}


def test_the_table_is_complete() -> None:
    assert set(TABLE) | UNIT == {name for name in rigs.RIGS if name.startswith("sabotage_")}


async def test_every_sabotage_is_noticed(make_victim: MakeVictim) -> None:
    unnoticed = []

    async def try_out(names: list[str]) -> None:
        for name in names:
            check, word = TABLE[name]
            try:
                said = await check(make_victim(name), (name,))
            except Exception as error:
                said = [f"the check itself failed: {error!r}"]
            if not any(word in line for line in said):
                unnoticed.append(f"{name}: expected {word!r}, heard {said}")

    names = list(TABLE)
    await asyncio.gather(try_out(names[::2]), try_out(names[1::2]))
    assert not unnoticed, "\n".join(unnoticed)


async def test_nothing_is_noticed_without_sabotage(make_victim: MakeVictim) -> None:
    """The same checks on the product as it is: an alarm that always rings is none."""
    rung = {}

    async def try_out(checks: list[Check]) -> None:
        for check in checks:
            if said := await check(make_victim(check.__name__), ()):
                rung[check.__name__] = said

    checks = list(dict.fromkeys(check for check, _ in TABLE.values()))
    await asyncio.gather(try_out(checks[::2]), try_out(checks[1::2]))
    assert not rung


async def test_a_job_that_stands_still_is_noticed(victim: Victim) -> None:
    victim.standstill.limit = 2.0
    await recovery(victim, ("sabotage_recovery",))
    assert any("has stood at (1, 0)" in line for line in victim.standstill.wrong), victim.standstill.wrong


async def test_fencing_switched_off_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_fenced", store._fenced)  # put back at the end
    monkeypatch.setattr(direct, "_COMPLETE", direct._COMPLETE)
    rigs.sabotage_fencing()
    for number, check in enumerate((test_fencing.check, publishes_late)):
        migrated(tmp_path / f"{number}.db")
        database = Database(tmp_path / f"{number}.db")
        try:
            with pytest.raises(AssertionError):
                await check(database)
        finally:
            await database.close()


async def publishes_late(database: Database) -> None:
    assert await test_fencing.publish_late(database) == []
