"""One worker for many users: joining, giving back, making way, and what hangs. Real processes of the fake engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from atelier.errors import NotEnoughMemory, Unavailable, WorkerStartFailed
from atelier.runtime import processes
from atelier.runtime.shared import Pace, SharedLeases
from atelier.runtime.worker import Worker, WorkerSpec, WorkerState
from tests.runtime.studio import GB, MakeStudio, Studio, until

QUICK = Pace(patience=0.3, linger=0.2, check=0.1, answer=0.5)
CURIOUS = replace(QUICK, check=0.002, answer=4.0)
"""Asks all the time, and so always before a worker whose server died could say so itself."""


@pytest_asyncio.fixture
async def share(studio: Studio) -> AsyncIterator[Callable[..., SharedLeases]]:
    """Make shared leases of the studio's pool; closed afterwards, before the pool."""
    made: list[SharedLeases] = []

    def make(pace: Pace = QUICK) -> SharedLeases:
        made.append(SharedLeases(studio.pool, pace))
        return made[-1]

    yield make
    for each in made:
        await each.close()


Make = Callable[..., SharedLeases]


def chat_spec(studio: Studio, model: str = "lore", size: int = GB // 10, **options: Any) -> WorkerSpec:
    return studio.spec(model, size, task="chat", served=model, **options)


@contextlib.asynccontextmanager
async def client(worker: Worker) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        base_url="http://worker", connector=aiohttp.UnixConnector(str(worker.openai_socket))
    ) as session:
        yield session


async def ask(worker: Worker, **body: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": "Hello"}]} | body
    async with client(worker) as session, session.post("/v1/chat/completions", json=body) as response:
        return await response.json()


class TestUse:
    async def test_many_use_one_worker_at_once(self, studio: Studio, share: Make) -> None:
        shared, spec = share(), chat_spec(studio)
        together = asyncio.Barrier(5)

        async def use() -> tuple[str, str]:
            async with shared.use(spec) as worker:
                await together.wait()
                answer = await ask(worker, seed=3)
                return worker.id, answer["choices"][0]["message"]["content"]

        found = await asyncio.gather(*(use() for _ in range(5)))
        assert len(set(found)) == 1, "the same worker, and the same seed says the same"

    async def test_the_lease_goes_back_a_moment_after_the_last_user_left(self, studio: Studio, share: Make) -> None:
        shared, spec = share(), chat_spec(studio)
        async with shared.use(spec) as worker:
            assert shared.users(spec) == 1
        assert worker.state is not WorkerState.READY
        async with shared.use(spec) as again:
            assert again is worker
        assert studio.states(worker.id).count("ready") == 1, "between two requests it was not given back"
        await until(lambda: worker.state is WorkerState.READY, 2.0)
        assert shared.users(spec) == 0

    async def test_who_comes_and_goes_keeps_it_and_the_last_gives_it_back(self, studio: Studio, share: Make) -> None:
        shared, spec = share(Pace(linger=0.4)), chat_spec(studio)
        assert shared.use_now(spec) is None, "nobody has a worker yet"
        async with shared.use(spec) as worker:
            pass
        for _ in range(8):  # twice as long as a lease lingers, never without a user for so long
            await asyncio.sleep(0.1)
            use = shared.use_now(spec)
            assert use is not None and use.worker is worker and shared.users(spec) == 1
            use.leave()
        use.leave()
        assert shared.users(spec) == 0, "who leaves twice has left once"
        assert studio.states(worker.id).count("ready") == 1
        left = time.monotonic()
        await until(lambda: worker.state is WorkerState.READY, 2.0)
        assert 0.3 < time.monotonic() - left < 1.5
        assert shared.use_now(spec) is None

    async def test_who_joins_a_start_hears_what_it_waits_for(self, studio: Studio, share: Make) -> None:
        shared, spec = share(), chat_spec(studio, load_seconds=0.4)
        first: list[str] = []
        second: list[str] = []

        async def use(words: list[str]) -> None:
            async with shared.use(spec, waiting=lambda what: words.append(what.words)):
                pass

        early = asyncio.create_task(use(first))
        await until(lambda: first)
        await use(second)
        await early
        assert set(first) == set(second) == {"starts: lore is being loaded"}

    async def test_a_failed_start_is_told_to_everybody(self, studio: Studio, share: Make) -> None:
        shared, spec = share(), chat_spec(studio, load_fails="model_damaged")

        async def use() -> None:
            async with shared.use(spec):
                pytest.fail("it cannot start")

        outcomes = await asyncio.gather(*(use() for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in outcomes] == [WorkerStartFailed] * 3
        with pytest.raises(NotEnoughMemory):
            async with shared.use(chat_spec(studio, size=2 * GB)):
                pass

    async def test_giving_up_leaves_nothing_behind(self, studio: Studio, share: Make) -> None:
        shared, spec = share(), chat_spec(studio, load_seconds=0.3)

        async def use() -> None:
            async with shared.use(spec):
                pass

        waiting = asyncio.create_task(use())
        await until(lambda: studio.pool.running())
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert shared.users(spec) == 0
        await until(lambda: studio.pool.running()[0].state is WorkerState.READY)

    async def test_a_user_in_a_hurry_takes_everybody_along(self, studio: Studio, share: Make) -> None:
        shared, served = share(), []

        async def use(name: str, priority: int) -> None:
            async with shared.use(chat_spec(studio, name, GB), priority=priority):
                served.append(name)

        async with studio.pool.lease(studio.spec("other", GB)):
            waiting = [asyncio.create_task(use(name, -5)) for name in ("slow", "batch")]
            await asyncio.sleep(0.05)
            waiting.append(asyncio.create_task(use("batch", 0)))
            await asyncio.sleep(0.05)
        await asyncio.gather(*waiting)
        assert served == ["batch", "batch", "slow"]

    async def test_closing_tells_those_who_wait(self, studio: Studio, share: Make) -> None:
        shared = share()

        async def use() -> None:
            async with shared.use(chat_spec(studio, load_seconds=5)):
                pass

        waiting = asyncio.create_task(use())
        await until(lambda: studio.pool.running())
        await shared.close()
        with pytest.raises(Unavailable):
            await waiting


class TestMakingWay:
    async def test_an_unused_lease_is_given_up_at_once(self, studio: Studio, share: Make) -> None:
        shared = share(Pace(linger=30.0))
        async with shared.use(chat_spec(studio, size=GB)):
            pass
        began = time.monotonic()
        async with studio.pool.lease(studio.spec("picture", GB)):
            assert time.monotonic() - began < 3.0

    async def test_nobody_starves_behind_users_who_never_end(self, studio: Studio, share: Make) -> None:
        """Users come and go so that there is always one; a picture that needs the memory is made all the same, and
        those who came after it are served after it."""
        shared, spec, stop = share(), chat_spec(studio, size=GB), asyncio.Event()
        order: list[str] = []

        async def use_for_ever() -> None:
            while not stop.is_set():
                async with shared.use(spec) as worker:
                    await ask(worker)
                    await asyncio.sleep(0.1)

        users = [asyncio.create_task(use_for_ever()) for _ in range(3)]
        await until(lambda: [w for w in studio.pool.running() if w.state is WorkerState.BUSY])
        async with asyncio.timeout(10.0), studio.pool.lease(studio.spec("picture", GB)) as painter:
            order.append("picture")
            assert all(w.model == "picture" for w in studio.pool.running())
            assert painter.state is not WorkerState.FAILED
        await until(lambda: [w for w in studio.pool.running() if w.model == "lore" and w.state is WorkerState.BUSY])
        order.append("chat")
        stop.set()
        await asyncio.gather(*users)
        assert order == ["picture", "chat"]

    async def test_it_goes_on_when_the_one_who_waited_gave_up(self, studio: Studio, share: Make) -> None:
        shared, spec = share(Pace(patience=0.6, linger=0.2)), chat_spec(studio, size=GB)

        async def paint() -> None:
            async with studio.pool.lease(studio.spec("picture", GB)):
                pytest.fail("it gave up before")

        async with shared.use(spec) as worker:
            waiting = asyncio.create_task(paint())
            await asyncio.sleep(0.2)
            waiting.cancel()
            await asyncio.sleep(0.8)
            async with asyncio.timeout(1.0), shared.use(spec) as same:
                assert same is worker


class TestFaults:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    async def test_when_the_server_dies_the_worker_ends_and_says_why(
        self, studio: Studio, share: Make, number: signal.Signals
    ) -> None:
        shared, spec = share(CURIOUS), chat_spec(studio)
        async with shared.use(spec) as worker:
            async with client(worker) as session, session.get("/fake") as response:
                child = (await response.json())["pid"]
            began = time.monotonic()
            os.kill(child, number)
            lost = await worker.lost()
            assert time.monotonic() - began < 5.0
            assert lost.cause.code == {signal.SIGKILL: "killed", signal.SIGTERM: "terminated"}[number]
            assert f"the engine's server ended with signal {int(number)}" in (lost.log_tail or "")
            async with shared.use(spec) as another:
                assert another is not worker
                assert (await ask(another))["choices"]

    async def test_when_the_worker_dies_the_server_ends(self, studio: Studio, share: Make) -> None:
        shared = share()
        async with shared.use(chat_spec(studio)) as worker:
            async with client(worker) as session, session.get("/fake") as response:
                child = processes.look((await response.json())["pid"])
            assert child is not None and worker.process is not None
            os.kill(worker.process.pid, signal.SIGKILL)
            await until(lambda: not processes.is_alive(child), 5.0)
            assert (await worker.lost()).cause.code == "killed"

    @pytest.mark.parametrize("whom", ["server", "worker"])
    async def test_what_hangs_is_ended_and_its_users_see_it(self, studio: Studio, share: Make, whom: str) -> None:
        shared = share()
        async with shared.use(chat_spec(studio)) as worker, client(worker) as session:
            async with session.get("/fake") as response:
                child = (await response.json())["pid"]
            body = {
                "messages": [{"role": "user", "content": "x"}],
                "stream": True,
                "fake": {"delay_ms": 50, "tokens": 999},
            }
            async with session.post("/v1/chat/completions", json=body) as response:
                await response.content.readany()
                assert worker.process is not None
                os.kill(child if whom == "server" else worker.process.pid, signal.SIGSTOP)
                began = time.monotonic()
                with pytest.raises(aiohttp.ClientError):
                    async with asyncio.timeout(8.0):
                        while await response.content.readany():
                            pass
                assert time.monotonic() - began < 6.0
            assert (await worker.lost()).cause.code == "silent"

    async def test_a_connection_alone_that_closes_is_not_the_workers_end(self, studio: Studio, share: Make) -> None:
        async with share().use(chat_spec(studio)) as worker:
            with pytest.raises(aiohttp.ClientError):
                await ask(worker, stream=True, fake={"break_after": 2})
            assert (await worker.lost(patience=0.3)).cause.code == "hung_up"
            assert (await ask(worker))["choices"]

    async def test_parking_puts_its_server_to_sleep(self, open_studio: MakeStudio) -> None:
        studio = await open_studio(park_budget_bytes=GB)
        shared, spec = SharedLeases(studio.pool, QUICK), chat_spec(studio, parks=True, device="cuda")
        async with shared.use(spec) as worker:
            pass
        await until(lambda: worker.state is WorkerState.READY)
        await studio.pool.park_worker(worker.id)
        async with client(worker) as session:
            async with session.get("/is_sleeping") as response:
                assert (await response.json())["is_sleeping"]
        async with shared.use(spec) as woken:
            assert woken is worker
            assert (await ask(woken))["choices"]
        await shared.close()
