"""Devices, workers, environments and health: reads of the runtime's memory, and the few things one may do to it."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import text

from atelier import __version__
from atelier.access.actor import Actor
from atelier.clock import now
from atelier.db import Database
from atelier.errors import EnvironmentNotFound, WorkerNotFound
from atelier.events import EnvironmentChanged, EventBus, WorkerChanged
from atelier.jobs.runner import JobRunner
from atelier.jobs.service import JobService
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import HIDDEN
from atelier.runtime.worker import WorkerInfo
from atelier.said import Said
from atelier.shapes import DeviceOut, EnvironmentOut, HostOut, JobOut, SaidOut, WorkerOut
from atelier.storage import Storage
from atelier.system.dependencies import DependencyInspector
from atelier.system.endpoints import endpoint_list
from atelier.system.environment_jobs import EnvironmentJobs
from atelier.system.schemas import CheckOut, DependencyOut, EndpointList, HealthOut, HistoryOut, StatusOut, SystemOut
from atelier.system.status import AdminStatus
from atelier.system.watch import DeviceWatch

log = structlog.get_logger("atelier.system")

LOW_DISK_BYTES = 200 * 1024**2
LAG_SECONDS = 1.0


class SystemService:
    """Answers the system page, the live snapshot and health."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        pool: WorkerPool,
        watch: DeviceWatch,
        environments: EnvironmentJobs,
        runner: JobRunner,
        jobs: JobService,
        bus: EventBus,
        inspector: DependencyInspector,
        admin_status: AdminStatus,
        advertised_hosts: tuple[str, ...] = (),
        creatures_backend: Literal["files", "sdxl"] = "files",
    ) -> None:
        self._database, self._storage, self._pool, self._watch = database, storage, pool, watch
        self._environments, self._runner, self._jobs, self._bus = environments, runner, jobs, bus
        self._inspector, self._admin_status, self._advertised_hosts = inspector, admin_status, advertised_hosts
        self._creatures_backend = creatures_backend
        self._started = now()

    # ── reads ──

    async def overview(self, actor: Actor) -> SystemOut:
        return SystemOut(
            version=__version__,
            started_at=self._started,
            data_dir_free_bytes=self._storage.free_bytes(),
            devices=self.devices(),
            host=self.host(),
            workers=self.workers(actor),
            environments=self._environments.all(),
        )

    def workers(self, actor: Actor) -> list[WorkerOut]:
        """All; of a model that is somebody else's alone not which it is."""
        found = [(info.owner, self._worker(info)) for info in self._pool.running()]
        return [worker if not owner or actor.owns(owner) else _unnamed(worker) for owner, worker in found]

    def environments(self) -> list[EnvironmentOut]:
        return self._environments.all()

    def devices(self) -> list[DeviceOut]:
        return self._watch.devices()

    def host(self) -> HostOut:
        return self._watch.host()

    def history(self, since: float) -> HistoryOut:
        return self._watch.history(since)

    async def dependencies(self) -> list[DependencyOut]:
        return await self._inspector.all()

    async def status(self, actor: Actor) -> StatusOut:
        return await self._admin_status.read(actor)

    def endpoints(self, document: dict[str, Any], scheme: str, host: str) -> EndpointList:
        return endpoint_list(document, scheme, host, self._advertised_hosts)

    async def health(self) -> HealthOut:
        checks = {
            "database": await self._check_database(),
            "queue": self._check_queue(),
            "disk": self._check_disk(),
            "event_loop": CheckOut.told(self._watch.lag < LAG_SECONDS, _lag(self._watch.lag)),
        }
        fine = all(check.ok for check in checks.values())
        time_now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = "ok" if fine else "degraded"
        return HealthOut(status=status, time=time_now, backend=self._creatures_backend, checks=checks)

    # ── actions ──

    async def build_environment(self, actor: Actor, name: str) -> JobOut:
        if name not in self._environments.names:
            raise EnvironmentNotFound(
                f"There is no environment {name[:40]!r}.", hint=f"These exist: {', '.join(self._environments.names)}."
            )
        job_id = await self._environments.ask(actor.id, name)
        return await self._jobs.get(actor, job_id)

    async def stop_worker(self, worker_id: str) -> WorkerOut:
        info = next((info for info in self._pool.running() if info.id == worker_id), None)
        if info is None:
            raise WorkerNotFound(f"There is no worker {worker_id[:40]!r}.", hint="It may have ended already.")
        await self._pool.stop_worker(worker_id)
        return self._worker(info).model_copy(update={"state": "stopped"})

    def worker_log(self, worker_id: str) -> Path:
        """The file that a worker prints to. Raises WorkerNotFound."""
        return self._pool.log_path(worker_id)

    def worker_changed(self, info: WorkerInfo) -> None:
        self._watch.nudge()
        worker, owner, key = self._worker(info), info.owner or None, f"worker:{info.id}"
        self._bus.publish(WorkerChanged(worker=worker), owner=owner, key=key)
        if owner is not None:
            self._bus.publish(WorkerChanged(worker=_unnamed(worker)), others_than=owner, key=f"{key}:others")

    def environment_changed(self, environment: EnvironmentOut) -> None:
        self._bus.publish(EnvironmentChanged(environment=environment), key=f"environment:{environment.name}")

    # ── inside ──

    async def _check_database(self) -> CheckOut:
        try:
            async with asyncio.timeout(2), self._database.write() as session:
                await session.execute(text("SELECT 1"))
        except Exception as error:  # whatever it is, the answer is that the database cannot be written
            log.warning("health.database", error=str(error))
            return CheckOut.told(False, Said("The database cannot be written.", "health.database_unwritable"))
        return CheckOut.told(True, Said("A transaction can be begun.", "health.database_fine"))

    def _check_queue(self) -> CheckOut:
        silent = self._runner.silent_seconds()
        if silent > 30:
            words = f"The queue's last turn was {silent:.0f} s ago."
            return CheckOut.told(False, Said(words, "health.queue_silent", seconds=round(silent)))
        running = len(self._runner.live)
        return CheckOut.told(True, Said(f"{running} running", "health.queue_turns", count=running))

    def _check_disk(self) -> CheckOut:
        free = shutil.disk_usage(self._storage.root).free
        words = Said(f"{free / 1024**3:.1f} GiB free", "health.disk_free", bytes=free)
        return CheckOut.told(free > LOW_DISK_BYTES, words)

    def _worker(self, info: WorkerInfo) -> WorkerOut:
        return WorkerOut(
            id=info.id,
            engine=info.engine,
            model=info.model,
            pid=info.pid,
            state=info.state,
            bytes_leased=info.bytes_leased,
            held_bytes=info.held_bytes,
            host_bytes=info.host_bytes,
            weights_bytes=info.weights_bytes,
            pinned=info.pinned,
            reload_seconds=info.reload_seconds,
            priority=info.priority,
            rss_bytes=info.rss_bytes,
            device=self._watch.name_of(info.device),
            devices=[self._watch.name_of(index) for index in info.devices],
            started_at=info.started_at,
            idle_since=info.idle_since,
            message=info.message,
            said=SaidOut.of(info.message),
            log_tail=list(info.log_tail),
        )


def _unnamed(worker: WorkerOut) -> WorkerOut:
    """What it takes, and not what it is."""
    return worker.model_copy(update={"model": HIDDEN, "message": None, "said": None, "log_tail": []})


def _lag(seconds: float) -> Said:
    return Said(f"lag {seconds:.2f} s", "health.lag", seconds=round(seconds, 2))
