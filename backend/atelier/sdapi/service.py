"""A1111's calls for pictures, said in Atelier's words: the same requests, jobs and gallery as everybody's.

A batch is a job; `n_iter` batches are so many jobs whose seeds go on counting. What Atelier does differently from what
was asked (another size, the nearest sampler, a field without effect) stands in the answer's `info`, under `comments`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from engines import sampler_names

from atelier.access.actor import Actor
from atelier.errors import BadRequest, NotFound
from atelier.images.delivery import Delivery, counted_up, encoded, portions, with_prompt
from atelier.images.finishing import Gone
from atelier.images.schemas import MAX_SEED, GenerationIn, TextToImageIn
from atelier.models.families import sampling
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.said import Said
from atelier.sdapi.checkpoints import Checkpoint, Checkpoints
from atelier.sdapi.info import info_of, infotext_of
from atelier.sdapi.options import Chosen, Options
from atelier.sdapi.orders import Orders
from atelier.sdapi.schemas import SdDrawIn, SdImagesOut, SdTextToImageIn, ignored_in
from atelier.sdapi.sizes import fitted

MOST_PICTURES = 64
NO_SCRIPT = {"", "none"}
FLUX = frozenset({"flux"})


class SamplerNotFound(BadRequest):
    status = 400
    code = "sampler_not_found"


class ScriptNotFound(BadRequest):
    code = "script_not_found"


class InitImageNotFound(NotFound):
    code = "init_image_not_found"


@dataclass
class Plan:
    """A request, decided as far as this door decides: which model, which settings, and what differs from the words."""

    checkpoint: Checkpoint
    chosen: Chosen
    sampler: str
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class SdApi:
    """Behind the routes of `/sdapi/v1`."""

    def __init__(self, checkpoints: Checkpoints, delivery: Delivery) -> None:
        self.checkpoints, self.delivery = checkpoints, delivery
        self.options = Options(checkpoints)
        self.orders = Orders()

    # ── drawing ──

    async def text_to_image(self, actor: Actor, wanted: SdTextToImageIn, gone: Gone) -> SdImagesOut:
        """Raises ModelNotFound, SamplerNotFound, ScriptNotFound, BadRequest, TooManyJobs, JobFailed."""
        plan = await self._plan(actor, wanted)

        async def request(**more: Any) -> GenerationIn:
            return with_prompt(TextToImageIn, wanted.prompt, **plan.settings, **more)

        return await self._draw(actor, wanted, plan, request, gone)

    async def interrupt(self, actor: Actor) -> None:
        """End the caller's call under way; its pictures so far are its answer."""
        if order := self.orders.first(actor):
            order.interrupted = True
            await self.delivery.cancel(actor, order.job_ids)

    async def skip(self, actor: Actor) -> None:
        """End the batch that is being made; the next one begins."""
        if order := self.orders.first(actor):
            order.skipped = True
            await self.delivery.cancel_first(actor, order.job_ids)

    # ── inside ──

    async def _plan(self, actor: Actor, wanted: SdDrawIn) -> Plan:
        chosen = await self.options.changed(actor, self.options.chosen(actor), wanted.override_settings)
        if not wanted.override_settings_restore_afterwards:
            await self.options.change(actor, wanted.override_settings)
        checkpoint = await self.options.checkpoint(actor, chosen)
        row = checkpoint.row
        if (wanted.script_name or "").strip().casefold() not in NO_SCRIPT:
            words = Said(f"Script {wanted.script_name!r} not found", "script_not_found", script=wanted.script_name or "")
            raise ScriptNotFound(words, field="script_name", hint="Atelier runs no scripts; leave script_name out.")
        notes = [f"{name} was ignored: Atelier does not have it." for name in ignored_in(wanted)]
        asked = wanted.sampler_name or wanted.sampler_index
        found = sampler_names.find(asked, wanted.scheduler, sampling(row.family))
        if found is None:
            words = Said("Sampler not found", "sampler_not_found")
            raise SamplerNotFound(words, field="sampler_name", hint="GET /sdapi/v1/samplers lists those there are.")
        sampler = " ".join(sampler_names.names_of(found.key)).removesuffix(" Automatic")
        if not found.exact:
            notes.append(f"{asked} {wanted.scheduler or ''}".strip() + f" was drawn with {sampler}, the nearest.")
        width, height = fitted(wanted.width, wanted.height, ImageDefaults(**row.defaults), ImageLimits(**row.limits))
        if (wanted.width or width, wanted.height or height) != (width, height):
            size = f"{wanted.width or width}x{wanted.height or height}"
            notes.append(f"{checkpoint.name} does not make {size}; it was drawn at {width}x{height}.")
        guidance = wanted.cfg_scale
        if row.family in FLUX and wanted.distilled_cfg_scale is not None:
            guidance = wanted.distilled_cfg_scale
        settings = {
            "negative_prompt": wanted.negative_prompt,
            "model": checkpoint.name,
            "steps": wanted.steps,
            "guidance_scale": guidance,
            "width": width,
            "height": height,
            "scheduler": found.key,
            "format": chosen.format,
        }
        return Plan(checkpoint, chosen, sampler, settings, notes)

    async def _draw(
        self,
        actor: Actor,
        wanted: SdDrawIn,
        plan: Plan,
        request: Callable[..., Awaitable[GenerationIn]],
        gone: Gone,
    ) -> SdImagesOut:
        requests = [await request(**more) for more in _batches(wanted)]
        job_ids = await self.delivery.order(actor, requests)
        with self.orders.waiting(actor, job_ids):
            images = await self.delivery.what_there_is(actor, job_ids, gone)
        bodies = [await self.delivery.read(actor, image) for image in images]
        return SdImagesOut(
            images=[encoded(body) for body in bodies] if wanted.send_images else [],
            parameters=wanted.model_dump(exclude={"init_images", "mask", "latent_mask"}),
            info=info_of(
                wanted,
                plan.checkpoint,
                images,
                [infotext_of(body) for body in bodies],
                sampler=plan.sampler,
                clip_layers=plan.chosen.clip_layers,
                notes=plan.notes,
            ),
        )


def _batches(wanted: SdDrawIn) -> list[dict[str, Any]]:
    """How many pictures each job makes, and from which seed. Raises BadRequest beyond MOST_PICTURES."""
    count = wanted.batch_size * wanted.n_iter
    if count > MOST_PICTURES:
        words = f"batch_size × n_iter is {count} pictures; one call makes {MOST_PICTURES} at most."
        said = Said(words, "sdapi.too_many", count=count, most=MOST_PICTURES)
        raise BadRequest(said, field="n_iter", hint="Ask several times.")
    seed = _seed(wanted.seed, "seed")
    batches, begun = [], 0
    for _ in range(wanted.n_iter):
        for size in portions(wanted.batch_size):
            batches.append({"num_outputs": size, "seed": counted_up(seed, begun)})
            begun += size
    return batches


def _seed(given: int, name: str) -> int:
    """-1 draws one."""
    if given == -1:
        return secrets.randbelow(MAX_SEED + 1)
    if not 0 <= given <= MAX_SEED:
        words = Said(f"{name} may be 0 to {MAX_SEED}.", "sdapi.seed", name=name, most=MAX_SEED)
        raise BadRequest(words, field=name, hint="-1 draws one.")
    return given
