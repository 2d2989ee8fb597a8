"""Doors that answer with the pictures wait for a job's end: told of progress, and not longer than their client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from atelier import main
from atelier.access.actor import LOCAL_ADMIN
from atelier.config import read_settings
from atelier.deps import Services
from atelier.errors import Conflict, JobNotFound, TooManyJobs
from atelier.events import JobProgress
from atelier.images.enlarging import MOST_AT_ONCE
from atelier.images.finishing import JobFailed
from atelier.images.schemas import TextToImageIn
from atelier.models.schemas import ModelImportIn
from fastapi import FastAPI
from tests.models.weights import ESRGAN, safetensors, write


def with_services(tmp_path: Path, use: Callable[[Services], Awaitable[None]]) -> None:
    """Run `use` against the services of a whole application with the fake engine."""
    env = {"DATA_DIR": str(tmp_path / "data"), "ATELIER_FAKE_ENGINE": "1", "ATELIER_FAKE_STEP_SECONDS": "0.02"}

    async def run() -> None:
        app, settings = FastAPI(), read_settings(env)
        async with main.lifespan(app, settings):
            async with asyncio.timeout(120):
                await use(app.state.services)

    asyncio.run(run())


async def ask(services: Services, **wanted: Any) -> str:
    return (await services.images.ask(LOCAL_ADMIN, TextToImageIn(**{"prompt": "a cat", **wanted}))).job_id


async def hang_up() -> bool:
    return True


async def stay() -> bool:
    return False


def test_jobs_are_waited_for(tmp_path: Path) -> None:
    async def use(services: Services) -> None:
        await it_answers_with_the_pictures(services)
        await it_answers_at_once_when_it_is_over(services)
        await it_says_why_a_job_failed(services)
        await it_says_that_a_job_was_cancelled(services)
        await it_cancels_when_the_client_is_gone(services)
        await it_enlarges_no_more_than_it_can_and_for_nobody_who_left(services, tmp_path)
        with pytest.raises(JobNotFound):
            await services.images.finish(LOCAL_ADMIN, "job_unknown")
        assert services.images._bus._followers == {}, "nobody is left listening"

    with_services(tmp_path, use)


async def it_answers_with_the_pictures(services: Services) -> None:
    heard: list[JobProgress] = []

    async def hear(event: JobProgress) -> None:
        heard.append(event)

    job_id = await ask(services, steps=40, num_outputs=2)
    done = await services.images.finish(LOCAL_ADMIN, job_id, stay, hear)
    assert [image.index for image in done.images] == [0, 1]
    assert heard and heard[-1].total_steps == 80
    assert [event.step for event in heard] == sorted(event.step for event in heard)


async def it_answers_at_once_when_it_is_over(services: Services) -> None:
    job_id = await ask(services, steps=1)
    first, second = await asyncio.gather(*(services.images.finish(LOCAL_ADMIN, job_id) for _ in range(2)))
    assert first == second == await services.images.finish(LOCAL_ADMIN, job_id)


async def it_says_why_a_job_failed(services: Services) -> None:
    job_id = await ask(services, prompt="a cat fake:fail:invalid_scheduler")
    with pytest.raises(JobFailed) as caught:
        await services.images.finish(LOCAL_ADMIN, job_id)
    assert (caught.value.code, caught.value.status, caught.value.hint) == (
        "invalid_scheduler",
        422,
        "Change the script.",
    )


async def it_says_that_a_job_was_cancelled(services: Services) -> None:
    job_id = await ask(services, steps=200)
    waiting = asyncio.create_task(services.images.finish(LOCAL_ADMIN, job_id, stay))
    await asyncio.sleep(0.2)
    await services.jobs.cancel(LOCAL_ADMIN, job_id)
    with pytest.raises(Conflict):
        await waiting


async def it_enlarges_no_more_than_it_can_and_for_nobody_who_left(services: Services, folder: Path) -> None:
    enlarger = services.sdapi.enlarger
    file = write(folder / "2x.safetensors", safetensors(ESRGAN))
    key = (await services.models.take_in(LOCAL_ADMIN, ModelImportIn(path=str(file)))).key
    row = await services.models.find(LOCAL_ADMIN, key)

    async def enlarge(gone: Callable[[], Awaitable[bool]]) -> None:
        await enlarger.enlarge(row, file, file.with_suffix(".png"), width=8, height=8, gone=gone)

    async with enlarger._pool.lease(enlarger._sizing.upscaler_spec(row, file, 64)):
        with pytest.raises(Conflict, match="hung up"):
            await enlarge(hang_up)
        many = [asyncio.create_task(enlarge(stay)) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyJobs) as full:
            await enlarge(stay)
        assert full.value.retry_after > 0
        for one in many[1:]:
            one.cancel()
        await asyncio.wait(many[1:])
    await many[0]
    assert file.with_suffix(".png").is_file()


async def it_cancels_when_the_client_is_gone(services: Services) -> None:
    job_id = await ask(services, steps=200, num_outputs=8)
    with pytest.raises(Conflict):
        await services.images.finish(LOCAL_ADMIN, job_id, hang_up)
    with pytest.raises(Conflict):
        await services.images.finish(LOCAL_ADMIN, job_id)
    assert (await services.jobs.get(LOCAL_ADMIN, job_id)).status == "cancelled"
