"""Building engine environments as ordinary jobs: asked for at the first start, again after a failure, with progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from atelier.access.actor import LOCAL_USER_ID
from atelier.errors import AtelierError, EnvironmentBuildFailed, EnvironmentNotReady
from atelier.jobs.attempt import Attempt, Publish, nothing_to_publish
from atelier.jobs.queue import JobQueue, NewJob
from atelier.jobs.runner import Stopped
from atelier.runtime.environments import EnvironmentInfo, Environments
from atelier.runtime.waiting import Waiting
from atelier.said import Said
from atelier.shapes import EnvironmentOut, ErrorOut, SaidOut, WaitingOut
from atelier.tables import JobKind

log = structlog.get_logger("atelier.system.environments")

# Progress is counted in thousandths of the build.
THOUSAND = 1000

COMING = {"environment.building", "environment.soon", "environment.after"}
LOOK_SECONDS = 0.5


class EnvironmentJobs:
    """`names` are the environments that this server needs from the start, `later` those that it sets up once somebody
    needs them; `changed` hears of every state."""

    def __init__(
        self, environments: Environments, queue: JobQueue, names: tuple[str, ...], later: tuple[str, ...] = ()
    ) -> None:
        self._environments, self._queue, self.names = environments, queue, (*names, *later)
        self._at_once = names
        self._job_ids: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self.changed: Callable[[EnvironmentOut], None] = lambda _environment: None

    async def start(self) -> None:
        """Ask for what is missing."""
        for name in self._at_once:
            if self._environments.python(name) is None:
                await self.ask(LOCAL_USER_ID, name)

    async def ask(self, owner_id: str, name: str) -> str:
        """The job that builds `name`: the one under way, or a new one."""
        for row in await self._queue.active(JobKind.ENVIRONMENT_BUILD):
            if row.request.get("environment") == name:
                self._job_ids[name] = row.id
                return row.id
        job = NewJob(
            JobKind.ENVIRONMENT_BUILD, owner_id, f"Set up the {name} engine", {"environment": name}, priority=10
        )
        row = await self._queue.submit(job)
        self._job_ids[name] = row.id
        return row.id

    def wanted(self, name: str) -> None:
        """Somebody needs `name`, which is not there: have it built, unless that failed or was cancelled before."""
        if name in self.names and name not in self._job_ids and name not in self._asking:
            self._asking[name] = asyncio.create_task(self._ask(name), name=f"set up {name}")

    async def _ask(self, name: str) -> None:
        try:
            await self.ask(LOCAL_USER_ID, name)
        except AtelierError as error:
            log.warning("environment.not_asked", environment=name, reason=error.message)
        finally:
            self._asking.pop(name, None)

    def all(self) -> list[EnvironmentOut]:
        return [self.present(self._environments.status(name)) for name in self.names]

    def present(self, info: EnvironmentInfo) -> EnvironmentOut:
        return EnvironmentOut(
            name=info.name,
            hash=info.hash,
            state=info.state,
            fraction=info.fraction,
            message=info.message,
            said=SaidOut.of(info.message),
            error=ErrorOut.of(info.error) if info.error else None,
            job_id=self._job_ids.get(info.name),
            packages=info.packages,
        )

    async def until_ready(self, name: str, tell: Callable[[Waiting], None] | None = None) -> None:
        """Wait until `name` is set up, and have that begun; `tell` hears how far it is. Raises EnvironmentNotReady
        where it failed, or was cancelled."""
        self.wanted(name)
        while (words := self._lacks(name)) is not None:
            if words.code not in COMING:
                raise EnvironmentNotReady(words, hint="Set it up under System.")
            if tell is not None:
                tell(Waiting("environment", words))
            await asyncio.sleep(LOOK_SECONDS)

    def blocked(self, name: str) -> WaitingOut | None:
        """Why nothing that needs `name` can begin, or None."""
        words = self._lacks(name)
        return None if words is None else WaitingOut.told("environment", words)

    def _lacks(self, name: str) -> Said | None:
        info = self._environments.status(name)
        match info.state:
            case "ready":
                return None
            case "failed":
                text, code = f"The {name} engine could not be set up. Try again under System.", "failed"
            case "building":
                text, code = f"The {name} engine is being set up ({100 * (info.fraction or 0):.0f} %).", "building"
            case _ if name in self._job_ids or name in self._asking:
                if (other := self._is_built_first(name)) is not None:
                    share = other.fraction or 0.0
                    text = f"The {name} engine follows the {other.name} engine, being set up ({100 * share:.0f} %)."
                    return Said(text, "environment.after", engine=name, first=other.name, fraction=share)
                text, code = f"The {name} engine is about to be set up.", "soon"
            case _:
                text, code = f"The {name} engine is not set up. Set it up under System.", "missing"
        return Said(text, f"environment.{code}", engine=name, fraction=info.fraction or 0.0)

    def _is_built_first(self, name: str) -> EnvironmentInfo | None:
        """They are set up one after the other."""
        others = (self._environments.status(one) for one in self.names if one != name)
        return next((info for info in others if info.state == "building"), None)

    async def run(self, attempt: Attempt) -> Publish:
        """The handler of `environment.build` jobs."""
        name = attempt.job.request["environment"]
        self._job_ids[name] = attempt.job.id

        def progress(fraction: float, message: Said) -> None:
            attempt.progress(int(fraction * THOUSAND), THOUSAND, message)
            self.changed(self.present(self._environments.status(name)))

        build = asyncio.create_task(self._environments.build(name, progress))
        stop = asyncio.create_task(attempt.stop.wait())
        try:
            await asyncio.wait({build, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not build.done():
                build.cancel()
                await asyncio.gather(build, return_exceptions=True)
                self._job_ids.pop(name, None)  # nobody sets it up until somebody asks again
                raise Stopped
            await build
        except EnvironmentBuildFailed as error:
            error.hint = error.hint or "Try again; the last lines say what went wrong."
            raise
        finally:
            stop.cancel()
            if not build.done():
                build.cancel()
                await asyncio.gather(build, return_exceptions=True)
            self.changed(self.present(self._environments.status(name)))
        attempt.progress(THOUSAND, THOUSAND)
        return nothing_to_publish
