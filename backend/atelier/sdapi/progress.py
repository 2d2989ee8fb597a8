"""`/progress`: the caller's work as A1111 counts it, in batches and steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier.access.actor import Actor, Role
from atelier.clock import now
from atelier.jobs.service import JobService
from atelier.sdapi.orders import Order, Orders
from atelier.sdapi.schemas import SdProgressOut, SdProgressState
from atelier.shapes import JobOut
from atelier.tables import JobKind, JobStatus

BEGUN = 0.01
"""The least that is told of work under way: 0 means idle."""


async def progress(jobs: JobService, orders: Orders, actor: Actor, *, with_image: bool) -> SdProgressOut:
    """Of the caller's oldest call of this door; without one, of what they run by other ways."""
    order = orders.first(actor)
    batches = await _batches(jobs, actor, order)
    if not batches:
        return idle()
    done = sum(job.status.ended for job in batches)
    current = next((job for job in batches if not job.status.ended), batches[-1])
    fraction = BEGUN + (min(done, len(batches) - 1) + current.progress) / len(batches)
    previews = jobs.previews(actor).get(current.id, []) if with_image else []
    return SdProgressOut(
        progress=min(fraction, 1.0),
        eta_relative=current.eta_seconds or 0.0,
        state=SdProgressState(
            skipped=bool(order and order.skipped),
            interrupted=bool(order and order.interrupted),
            stopping_generation=any(job.cancel_requested for job in batches),
            job=current.id,
            job_count=len(batches),
            job_timestamp=stamp(order.begun if order else current.created_at),
            job_no=done,
            sampling_step=current.step,
            sampling_steps=current.total_steps,
        ),
        current_image=previews[-1].data_url.partition(",")[2] if previews else None,
        textinfo=_words(current),
    )


def idle() -> SdProgressOut:
    state = SdProgressState(
        skipped=False,
        interrupted=False,
        stopping_generation=False,
        job="",
        job_count=0,
        job_timestamp=stamp(now()),
        job_no=0,
        sampling_step=0,
        sampling_steps=0,
    )
    return SdProgressOut(progress=0.0, eta_relative=0.0, state=state, current_image=None, textinfo=None)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


async def _batches(jobs: JobService, actor: Actor, order: Order | None) -> Sequence[JobOut]:
    if order is not None:
        return [await jobs.get(actor, job_id) for job_id in order.job_ids]
    active = [JobStatus.RUNNING, JobStatus.QUEUED]
    themselves = Actor(actor.id, actor.name, Role.USER)  # an administrator would see everybody's
    page = await jobs.page(themselves, active, [JobKind.IMAGE_GENERATE], None, 1)
    return page.items


def _words(job: JobOut) -> str | None:
    return job.message or (job.waiting.message if job.waiting else None)
