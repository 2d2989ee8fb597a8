"""Starting and ending in order: SIGTERM loses nothing, a long list starts soon, one folder has one server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time

import aiohttp
from tests.faults import oracle
from tests.faults.victim import READY_SECONDS, MakeVictim, Victim, until

EXIT_SECONDS = 10.0
ENDED_ROWS, WAITING_ROWS = 9_700, 300
TURNS = ["a fox"] * 4 + ["fake:hang", "fake:silent"]


async def test_sigterm_while_jobs_run(make_victim: MakeVictim) -> None:
    """At random moments, with an engine that hangs, with a browser connected: out soon with 0, all goes on after."""
    victim = make_victim(20261121)
    await victim.start()
    for prompt in TURNS:
        if prompt == "a fox":
            await asyncio.gather(victim.ask(steps=30), victim.ask(steps=30))
            await asyncio.sleep(victim.random.uniform(0, 1.0))
        else:
            hung = await victim.ask(prompt)
            await victim.when(hung, "running")
            await asyncio.sleep(0.3)
        async with aiohttp.ClientSession() as http, http.ws_connect(victim.url + "/api/live") as live:
            await live.receive()
            begun = time.monotonic()
            status = await victim.stop()
            took = time.monotonic() - begun
        assert status == 0, victim.words()
        assert took <= EXIT_SECONDS, f"it took {took:.1f} s to end: {victim.words()}"
        assert not await victim.orphans()
        with victim.rows() as db:
            running = db.execute("SELECT id FROM jobs WHERE status = 'running'").fetchall()
        assert not running, "what ran was not put back in the line"
        await victim.start()
        if prompt != "a fox":
            assert await victim.cancel(hung) == 200
            await victim.when(hung, "cancelled")
    assert not await oracle.examine(victim)


async def test_a_second_server_on_the_folder_is_refused(victim: Victim) -> None:
    await victim.start()
    asked = await victim.ask(steps=60)
    second, position = victim.spawn()
    await until(lambda: victim.launcher.status(second) is not None, 20, victim.words)
    assert victim.launcher.status(second) not in (0, None)
    words = victim.log.read_bytes()[position:].decode()
    assert "Another Atelier already uses" in words and "DATA_DIR" in words
    assert "Traceback" not in words
    job = await victim.when(asked)
    assert job["status"] == "completed" and job["attempt"] == 1
    assert not await oracle.examine(victim)


async def test_a_long_list_starts_soon(make_victim: MakeVictim) -> None:
    """Ten thousand rows, three hundred of them waiting, one running when the server died."""
    victim = make_victim(1)
    await victim.start()
    model = await victim.ask(steps=1)
    await victim.when(model)
    await victim.kill()
    request = json.dumps({"resolved": _resolved(victim)})
    db = sqlite3.connect(victim.data / "atelier.db")
    with db:
        columns = "id, kind, owner_id, title, status, request, priority, attempt, crashes, cancel_requested, step, "
        columns += "total_steps, hidden, created_at, finished_at"
        rows = [
            (f"job_{n:020d}", "image.generate", "local", f"picture {n}", _status(n), request, 0, 1, 0, 0, 0, 0, 0)
            for n in range(ENDED_ROWS + WAITING_ROWS)
        ]
        marks = ", ".join("?" * 13)
        db.executemany(f"INSERT INTO jobs ({columns}) VALUES ({marks}, '2026-11-21', '2026-11-21')", rows)  # noqa: S608
        db.execute("UPDATE jobs SET finished_at = NULL WHERE status IN ('queued', 'running')")
    db.close()
    begun = time.monotonic()
    assert await victim.start() <= READY_SECONDS
    done_before = await _completed(victim)
    while await _completed(victim) < done_before + 3:
        assert time.monotonic() - begun <= 2 * READY_SECONDS, "work did not go on"
        await asyncio.sleep(0.05)
    running = (await victim.get("/api/jobs?status=running&limit=200"))["items"]
    # One whose pictures are made may still be putting them away while the next begins.
    making = [job["id"] for job in running if not 0 < job["total_steps"] == job["step"]]
    assert len(making) <= 1 and len(running) <= 2, running


def _status(number: int) -> str:
    if number < ENDED_ROWS:
        return "completed"
    return "running" if number == ENDED_ROWS else "queued"


def _resolved(victim: Victim) -> dict[str, object]:
    with victim.rows() as db:
        return json.loads(db.execute("SELECT request FROM jobs").fetchone()[0])["resolved"]


async def _completed(victim: Victim) -> int:
    with victim.rows() as db:
        return db.execute("SELECT count(*) FROM jobs WHERE status = 'completed'").fetchone()[0]
