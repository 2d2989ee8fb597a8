"""A server to be killed, again and again: one data folder, the servers on it one after the other, and their clients.

    victim = Victim(launcher, folder, seed)
    await victim.start(failpoints="jobs.after_claim=kill@2")
    asked = await victim.ask(steps=4)          sent until it is promised, over as many servers as that takes
    await victim.kill()

Everything random comes from `victim.random`, so that a seed tells the whole story.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import shutil
import signal
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
from tests.databases import migrated
from tests.faults import proc
from tests.faults.ledger import Asked, Ledger
from tests.faults.standstill import Standstill
from tests.launching import BACKEND, Launcher, plain_environment

TERMINAL = ("completed", "failed", "cancelled")
ORPHAN_SECONDS = 5.0
READY_SECONDS = 5.0
STEP_SECONDS = 0.02


class Down(Exception):
    """The server did not answer, or not to the end."""


class Victim:
    def __init__(self, launcher: Launcher, folder: Path, seed: int | str = 0, **environment: str) -> None:
        self.launcher, self.folder, self.seed = launcher, folder, seed
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.log.touch()
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.random = random.Random(seed)
        self.url = ""
        self.pid: int | None = None
        self.mark = ""
        self.up = asyncio.Event()
        self.ready_seconds: list[float] = []
        self.orphan_seconds: list[float] = []
        self.marks: list[str] = []
        self._environment = environment
        self._http: aiohttp.ClientSession | None = None
        self._watches: list[asyncio.Task[None]] = []
        self.standstill = Standstill(self._passing)
        self._looking: asyncio.Task[None] | None = None

    def words(self) -> str:
        """For the message of a failing test: how to see it again, and the last the server said."""
        tail = self.log.read_text(errors="replace")[-3000:]
        return f"seed {self.seed!r}, ledger {self.folder / 'ledger.jsonl'}\n{tail}"

    # ── the server ──

    def spawn(self, *, failpoints: str = "", rigs: tuple[str, ...] = (), **environment: str) -> tuple[int, int]:
        """Start a server process; its pid, and where its part of the log begins."""
        position = self.log.stat().st_size
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            migrated(self.data / "atelier.db")
        settings = {
            **plain_environment(),
            "PYTHONPATH": str(BACKEND),
            "XDG_RUNTIME_DIR": self.launcher.sockets,
            "DATA_DIR": str(self.data),
            "ATELIER_FAKE_ENGINE": "1",
            "ATELIER_FAKE_STEP_SECONDS": str(STEP_SECONDS),
            "ATELIER_FAILPOINTS": failpoints,
            "ATELIER_SHARE_BATCHES": "never",  # one job, one run: only then does a test know whom a death falls upon
            "LOG_JSON": "1",
            **self._environment,
            **environment,
        }
        return self.launcher.spawn(settings, self.log, rigs=rigs), position

    async def start(self, *, failpoints: str = "", rigs: tuple[str, ...] = (), **environment: str) -> float:
        """Start a server and wait until it answers; the seconds that took."""
        assert self.pid is None, "one at a time"
        begun = time.monotonic()
        pid, position = self.spawn(failpoints=failpoints, rigs=rigs, **environment)
        self.pid, self.mark = pid, proc.mark(pid)
        self.marks.append(self.mark)
        url = await until(lambda: self.bound(position) or self.launcher.status(pid) is not None, 30, self.words)
        assert isinstance(url, str), f"the server ended with {self.launcher.status(pid)}: {self.words()}"
        self.url = url
        if self._http is not None:
            await self._http.close()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=30)
        )
        assert (await self.get("/health"))["checks"]["database"]["ok"]
        took = time.monotonic() - begun
        self.ready_seconds.append(took)
        self.ledger.note("start", pid=pid, failpoints=failpoints, rigs=rigs, seconds=round(took, 3))
        self.up.set()
        self._looking = self._looking or asyncio.create_task(self.standstill.watch())
        return took

    async def _passing(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
        if not self.up.is_set():
            return None
        try:
            jobs = (await self.get("/api/jobs?status=queued&status=running&limit=200"))["items"]
            return jobs, (await self.get("/api/system"))["workers"]
        except Down:
            return None

    def bound(self, position: int) -> str:
        with self.log.open("rb") as file:
            file.seek(position)
            found = re.search(rb"Uvicorn running on (http://127\.0\.0\.1:\d+)", file.read())
        return found[1].decode() if found else ""

    async def kill(self, *, also_worker: bool = False) -> None:
        """SIGKILL the server, and with it or just before it its worker. The death of one that goes first may be held
        against its jobs; where one of those has a crash already, and a second would condemn it, the server goes first.
        """
        assert self.pid is not None
        victims = [self.pid, *(self.workers() if also_worker else ())]
        if also_worker and not self._has_crashed():
            self.random.shuffle(victims)
        for pid in victims:
            proc.kill(pid)
        await self.died()

    def _has_crashed(self) -> bool:
        """Whether a job that has not ended was broken off before."""
        broken_off = "SELECT count(*) FROM jobs WHERE crashes > 0 AND status IN ('queued', 'running')"
        with self.rows() as db:
            return bool(db.execute(broken_off).fetchone()[0])

    async def died(self, seconds: float = 20.0) -> int:
        """Wait for the server's end; its exit status. From here on nothing of it may be left after five seconds."""
        assert self.pid is not None
        pid = self.pid
        status = await until(lambda: (self.launcher.status(pid),) if self.launcher.status(pid) is not None else None,
                             seconds, self.words)  # fmt: skip
        self.up.clear()
        self.ledger.note("died", pid=pid, status=status[0])
        self.pid = None
        self._watches.append(asyncio.create_task(self._watch_orphans(self.mark)))
        return status[0]

    async def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        assert self.pid is not None
        proc.kill(self.pid, number)
        return await self.died(seconds)

    def workers(self) -> list[int]:
        return proc.engine_pids(self.mark)[1]

    def forkservers(self) -> list[int]:
        return proc.engine_pids(self.mark)[0]

    async def orphans(self) -> list[str]:
        """What outlived a dead server by more than five seconds."""
        said = await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches.clear()
        return [str(each) for each in said if isinstance(each, Exception)]

    async def _watch_orphans(self, mark: str) -> None:
        begun = time.monotonic()
        while left := await asyncio.to_thread(proc.marked, mark):
            if time.monotonic() - begun > ORPHAN_SECONDS:
                raise AssertionError(f"processes {left} outlived the server {mark} by {ORPHAN_SECONDS} s")
            await asyncio.sleep(0.05)
        self.orphan_seconds.append(time.monotonic() - begun)

    async def close(self) -> None:
        """End everything of this victim, whatever state it is in."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self.pid is not None:
            proc.kill(self.pid)
            with contextlib.suppress(AssertionError):
                await self.died()
        await self.orphans()
        for mark in self.marks:
            for pid in proc.marked(mark):
                proc.kill(pid)
        if self._http is not None:
            await self._http.close()
        self.ledger.close()

    # ── clients ──

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """(status, JSON). Raises Down when there is no answer, or half of one."""
        try:
            assert self._http is not None
            async with self._http.request(method, self.url + path, **more) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, RuntimeError, json.JSONDecodeError) as error:
            raise Down(str(error)) from error

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, f"GET {path}: {status} {body}"
        return body

    async def ask(
        self, prompt: str = "a fox", *, key: str | None = None, expected: str = "completed", **more: Any
    ) -> Asked:
        """Want pictures. Sent again under its key until an answer is read, whatever happens to servers meanwhile."""
        key = key or str(uuid.UUID(int=self.random.getrandbits(128)))
        body = {"prompt": prompt, "width": 256, "height": 256, "seed": self.random.getrandbits(32), **more}
        body = self.ledger.asked[key].body if key in self.ledger.asked else body
        while True:
            await self.up.wait()
            asked = self.ledger.sending(key, body, expected)
            try:
                status, answer = await self.call(
                    "POST", "/api/generate/text-to-image", json=body, headers={"Idempotency-Key": key}
                )
            except Down:
                self.ledger.lost(asked)
                await asyncio.sleep(0.02)
                continue
            assert status == 202, f"{status} {answer}"
            self.ledger.promised(asked, answer["job_id"])
            return asked

    async def cancel(self, asked: Asked) -> int | None:
        """Cancel once; the status of the answer, None when it was lost. Either way the job may now end cancelled."""
        asked.cancelled = True
        self.ledger.note("cancel", job=asked.job_id)
        try:
            status, _ = await self.call("DELETE", f"/api/jobs/{asked.job_id}")
        except Down:
            return None
        return status

    async def job(self, asked: Asked) -> dict[str, Any]:
        return await self.get(f"/api/jobs/{asked.job_id}")

    async def when(self, asked: Asked, *statuses: str, seconds: float = 20.0) -> dict[str, Any]:
        """The job once it has one of these statuses (default: any end)."""
        deadline = time.monotonic() + seconds
        while True:
            job = await self.job(asked)
            if job["status"] in (statuses or TERMINAL):
                return job
            assert time.monotonic() < deadline, f"{job['status']} after {seconds} s: {job} {self.words()}"
            await asyncio.sleep(0.02)

    async def when_running(self, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The jobs that run, once there are any whose engine has begun; none when everything has ended."""
        deadline = time.monotonic() + seconds
        while True:
            jobs = (await self.get("/api/jobs?status=running&status=queued&limit=200"))["items"]
            if not jobs or (begun := [job for job in jobs if job["status"] == "running" and job["step"] > 0]):
                return begun if jobs else []
            assert time.monotonic() < deadline, f"nothing runs: {jobs} {self.words()}"
            await asyncio.sleep(0.01)

    async def when_running_at_all(self, seconds: float = 20.0) -> None:
        """Once a worker has been given a job."""
        deadline = time.monotonic() + seconds
        while not any(worker["state"] == "busy" for worker in (await self.get("/api/system"))["workers"]):
            assert time.monotonic() < deadline, f"no worker is busy {self.words()}"
            await asyncio.sleep(0.02)

    async def when_listed(self, asked: Asked, seconds: float = 5.0) -> None:
        """Once the job that was promised can be seen."""
        deadline = time.monotonic() + seconds
        while (await self.call("GET", f"/api/jobs/{asked.job_id}"))[0] != 200:
            assert time.monotonic() < deadline, "it was promised and is not there"
            await asyncio.sleep(0.02)

    async def pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            more = "limit=200" if cursor is None else f"limit=200&cursor={cursor}"
            page = await self.get(f"{path}{'&' if '?' in path else '?'}{more}")
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    # ── the database, looked at from outside ──

    @contextlib.contextmanager
    def rows(self) -> Iterator[sqlite3.Connection]:
        """A copy of the database as it lies there, write-ahead log and all, so that looking changes nothing."""
        copy = self.folder / "look"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("atelier.db", "atelier.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self.data / name, copy / name)
        connection = sqlite3.connect(copy / "atelier.db")
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()
            shutil.rmtree(copy, ignore_errors=True)

    def running_rows(self) -> list[str]:
        """Jobs that the database of a dead server says are running: what its death fell upon."""
        assert self.pid is None
        with self.rows() as db:
            return [row["id"] for row in db.execute("SELECT id FROM jobs WHERE status = 'running'")]

    def observe(self) -> None:
        """Note what a dead server's database says has ended: none of that may ever change."""
        with self.rows() as db:
            for row in db.execute("SELECT id, status FROM jobs WHERE status IN ('completed', 'failed', 'cancelled')"):
                images = db.execute('SELECT id FROM images WHERE job_id = ? ORDER BY "index"', (row["id"],))
                self.ledger.saw_end(row["id"], row["status"], tuple(image["id"] for image in images))

    def crashes(self) -> int:
        """How often workers have died under jobs, as a live server's database counts it."""
        connection = sqlite3.connect(f"file:{self.data / 'atelier.db'}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute("SELECT coalesce(sum(crashes), 0) FROM jobs").fetchone()[0]
        finally:
            connection.close()


MakeVictim = Callable[..., Victim]


async def until(condition: Callable[[], Any], seconds: float, words: Callable[[], str] = lambda: "") -> Any:
    """What `condition` says, as soon as it says something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s. {words()}"
        await asyncio.sleep(0.01)
    return found


@contextlib.asynccontextmanager
async def closing(victim: Victim) -> AsyncIterator[Victim]:
    try:
        yield victim
    finally:
        await victim.close()
