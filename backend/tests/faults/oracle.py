"""Holds the clients' ledger against what a server has: REST, rows, files, processes. Says everything that is wrong.

Called when nothing is asked for any more. An empty answer means: nothing promised was lost, nothing is there twice,
nothing is left over, and what had ended stayed as it ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

from tests.faults.victim import TERMINAL, Victim

TIDY_SECONDS = 5.0


async def examine(victim: Victim, *, quiet_seconds: float = 30.0) -> list[str]:
    wrong = await wait_for_quiet(victim, quiet_seconds)
    if not wrong:
        wrong = await _files_in_step(victim)
    wrong += await _promises(victim)
    wrong += _database(victim)
    wrong += victim.ledger.broken
    wrong += await victim.orphans()
    return wrong


async def wait_for_quiet(victim: Victim, seconds: float) -> list[str]:
    """Nothing waits or runs after this long without a new request: time for a whole line to be worked off. That each
    single job gets on all the while is for `standstill` to see."""
    deadline = time.monotonic() + seconds
    while True:
        active = (await victim.get("/api/jobs?status=queued&status=running&limit=200"))["items"]
        if not active:
            return []
        if time.monotonic() > deadline:
            states = {job["id"]: (job["status"], job["step"], job["waiting"]) for job in active[:5]}
            return [f"{len(active)} jobs still wait or run after {seconds} s: {states}"]
        await asyncio.sleep(0.05)


async def _promises(victim: Victim) -> list[str]:
    """Every promised job is there, once, and ended as it had to."""
    wrong = []
    with victim.rows() as db:
        jobs = {row["id"]: dict(row) for row in db.execute("SELECT * FROM jobs WHERE kind = 'image.generate'")}
    listed = {job["id"]: job["status"] for job in await victim.pages("/api/jobs?kind=image.generate")}
    if listed != {job["id"]: job["status"] for job in jobs.values() if not job["hidden"]}:
        wrong.append("the list of jobs is not what the database says")
    gallery: dict[str, list[int]] = {}
    for image in await victim.pages("/api/gallery"):
        gallery.setdefault(image["job_id"], []).append(image["index"])
    for asked in victim.ledger.asked.values():
        if len(asked.job_ids) != 1:
            wrong.append(f"key {asked.key} was promised {len(asked.job_ids)} jobs: {asked.job_ids}")
            continue
        job = jobs.pop(asked.job_id, None)
        if job is None:
            wrong.append(f"{asked.job_id} was promised and is lost")
            continue
        if job["hidden"] and not asked.cancelled:
            wrong.append(f"{job['id']} was taken off the list by nobody")
        expected = {asked.expected} | ({"cancelled"} if asked.cancelled else set())
        if job["status"] not in expected:
            wrong.append(f"{job['id']} is {job['status']} and not {expected}: {job['error'] or job['message']}")
        wanted = list(range(asked.body.get("num_outputs", 1))) if job["status"] == "completed" else []
        if sorted(gallery.pop(job["id"], [])) != wanted:
            wrong.append(f"{job['id']} ({job['status']}) does not have the pictures {wanted} in the gallery")
    wrong += [f"{job_id} ({job['status']}) was never promised to anybody" for job_id, job in jobs.items()]
    wrong += [f"pictures of {job_id}, which has none to show" for job_id in gallery]
    everything = list(victim.ledger.asked.values())
    for asked in victim.random.sample(everything, min(5, len(everything))):
        if asked.job_ids and (await victim.ask(key=asked.key)).job_ids != asked.job_ids[:1]:
            wrong.append(f"key {asked.key} got another job when it was sent again: {asked.job_ids}")
    return wrong


def _database(victim: Victim) -> list[str]:
    with victim.rows() as db:
        wrong = [f"database: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        wrong += [f"foreign key: {tuple(row)}" for row in db.execute("PRAGMA foreign_key_check")]
        twice = db.execute('SELECT job_id, "index", count(*) FROM images GROUP BY 1, 2 HAVING count(*) > 1')
        wrong += [f"picture {tuple(row)} is there twice" for row in twice]
        for row in db.execute("SELECT id, status, lease_until, finished_at FROM jobs"):
            if row["status"] in TERMINAL and (row["lease_until"] is not None or row["finished_at"] is None):
                wrong.append(f"{row['id']} has ended but keeps a lease or no time: {tuple(row)}")
    return wrong


async def _files_in_step(victim: Victim) -> list[str]:
    """Files and rows agree. What a server tidies up after it answers may take a moment."""
    deadline = time.monotonic() + TIDY_SECONDS
    while (wrong := await asyncio.to_thread(_files, victim)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return wrong


def _files(victim: Victim) -> list[str]:
    wrong = []
    expected: dict[Path, str | None] = {}
    with victim.rows() as db:
        for row in db.execute('SELECT job_id, "index", format, sha256 FROM images'):
            folder = victim.data / "images" / row["job_id"]
            expected[folder / f"{row['index']}.{row['format']}"] = row["sha256"]
            expected[folder / f"{row['index']}.thumb.webp"] = None
    found = {path for path in (victim.data / "images").rglob("*") if not path.is_dir()}
    wrong += [f"orphan file {path.relative_to(victim.data)}" for path in sorted(found - set(expected))]
    wrong += [f"row without its file {path.relative_to(victim.data)}" for path in sorted(set(expected) - found)]
    for path in sorted(found & set(expected)):
        data = path.read_bytes()
        if expected[path] is not None and hashlib.sha256(data).hexdigest() != expected[path]:
            wrong.append(f"{path.relative_to(victim.data)} is not what its row says")
        if not data:
            wrong.append(f"{path.relative_to(victim.data)} is empty")
    wrong += [f"left in {path.relative_to(victim.data)}" for path in sorted((victim.data / "staging").iterdir())]
    folders = [path for path in (victim.data / "images").iterdir() if path.is_dir() and not any(path.iterdir())]
    wrong += [f"empty folder {path.relative_to(victim.data)}" for path in folders]
    return wrong
