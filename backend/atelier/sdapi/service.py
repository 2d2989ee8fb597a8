"""A1111's calls for pictures, said in Atelier's words: the same requests, jobs and gallery as everybody's.

A batch is a job; `n_iter` batches are so many jobs whose seeds go on counting. What Atelier does differently from what
was asked (another size, the nearest sampler, a field without effect) stands in the answer's `info`, under `comments`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines import sampler_names

from atelier.access.actor import Actor
from atelier.errors import AtelierError, BadRequest, NotFound
from atelier.images.delivery import Delivery, counted_up, encoded, portions, with_prompt
from atelier.images.enlarging import Enlarger
from atelier.images.finishing import Gone
from atelier.images.inputs import InputStore
from atelier.images.prompts import PromptBook
from atelier.images.schemas import MAX_SEED, GenerationIn, ImageToImageIn, InpaintIn, TextToImageIn
from atelier.models.families import sampling
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.said import Said
from atelier.sdapi.captions import Captions
from atelier.sdapi.checkpoints import Checkpoint, Checkpoints
from atelier.sdapi.info import info_of, infotext_of
from atelier.sdapi.options import Chosen, Options
from atelier.sdapi.orders import Orders
from atelier.sdapi.schemas import (
    SdDrawIn,
    SdImagesOut,
    SdImageToImageIn,
    SdTextToImageIn,
    ignored_in,
    sampler_settings,
)
from atelier.sdapi.sizes import fitted
from atelier.sdapi.upscalers import second_pass

MOST_PICTURES = 64
NO_SCRIPT = {"", "none"}
SAME = {"", "use same sampler", "use same scheduler"}
FLUX = frozenset({"flux"})
FITS = ("stretch", "crop", "pad", "stretch")
FILLS = ("blur", "original", "noise", "nothing")
MOST_BLUR, MOST_PADDING, MOST_STYLES = 64, 256, 10


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

    def __init__(
        self,
        checkpoints: Checkpoints,
        delivery: Delivery,
        inputs: InputStore,
        prompts: PromptBook,
        captions: Captions,
        options_file: Path,
        enlarger: Enlarger,
    ) -> None:
        self.checkpoints, self.delivery, self._inputs, self._prompts = checkpoints, delivery, inputs, prompts
        self.options = Options(checkpoints, options_file)
        self.orders = Orders()
        self.captions, self.enlarger = captions, enlarger

    # ── drawing ──

    async def text_to_image(self, actor: Actor, wanted: SdTextToImageIn, gone: Gone) -> SdImagesOut:
        """Raises ModelNotFound, SamplerNotFound, ScriptNotFound, BadRequest, TooManyJobs, JobFailed."""
        plan = await self._plan(actor, wanted)
        model = await self.enlarger.find(actor, wanted.hr_upscaler or "") if wanted.enable_hr else None
        hires = second_pass(wanted, plan.settings["width"], plan.notes, model.key if model else None)
        if hires is not None:
            hires = hires.model_copy(update={"scheduler": self._again(wanted, plan)})
        settings = plan.settings | {"hires": hires}
        requests = [with_prompt(TextToImageIn, wanted.prompt, **settings, **more) for more in _batches(wanted)]
        return await self._draw(actor, wanted, plan, requests, gone)

    async def image_to_image(self, actor: Actor, wanted: SdImageToImageIn, gone: Gone) -> SdImagesOut:
        """As `text_to_image`; several first pictures are a batch, each is changed once. Raises InitImageNotFound and
        InputRefused as well."""
        if not wanted.init_images:
            words = Said("Init image not found", "init_image_not_found")
            raise InitImageNotFound(words, field="init_images", hint="Send the picture to change as init_images.")
        plan = await self._plan(actor, wanted)
        pictures = [await self._input(actor, one, "init_images") for one in wanted.init_images[:MOST_PICTURES]]
        settings = plan.settings | {"strength": wanted.denoising_strength, "fit": FITS[wanted.resize_mode]}
        kind: type[ImageToImageIn] = ImageToImageIn
        if mask := wanted.mask or wanted.latent_mask:
            kind = InpaintIn
            settings |= _painting(wanted) | {"mask": await self._input(actor, mask, "mask", mask=True)}
        if len(pictures) == 1:
            batches = [more | {"image": pictures[0]} for more in _batches(wanted)]
        else:
            each = _batches(wanted.model_copy(update={"batch_size": 1, "n_iter": len(pictures)}))
            batches = [more | {"image": picture} for more, picture in zip(each, pictures, strict=True)]
        requests = [with_prompt(kind, wanted.prompt, **settings, **more) for more in batches]
        return await self._draw(actor, wanted, plan, requests, gone)

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
            name = str(wanted.script_name)
            words = Said(f"Script {name!r} not found", "script_not_found", script=name)
            raise ScriptNotFound(words, field="script_name", hint="Atelier runs no scripts; leave script_name out.")
        asked = wanted.sampler_name or wanted.sampler_index
        found = sampler_names.find(asked, wanted.scheduler, sampling(row.family))
        if found is None:
            words = Said("Sampler not found", "sampler_not_found")
            raise SamplerNotFound(words, field="sampler_name", hint="GET /sdapi/v1/samplers lists those there are.")
        notes = [f"{name} was ignored: Atelier does not have it." for name in ignored_in(wanted, found.key)]
        styles = await self._styles(actor, wanted, notes)
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
            "sampler_settings": sampler_settings(wanted, found.key) or None,
            "clip_skip": chosen.clip_skip,
            "styles": styles,
            "format": chosen.format,
        }
        return Plan(checkpoint, chosen, sampler, settings, notes)

    def _again(self, wanted: SdTextToImageIn, plan: Plan) -> str | None:
        """The key of what draws the second pass; None for that of the first. Raises SamplerNotFound."""
        asked, schedule = (
            None if (name or "").strip().casefold() in SAME else name
            for name in (wanted.hr_sampler_name, wanted.hr_scheduler)
        )
        if asked is None and schedule is None:
            return None
        first = sampler_names.names_of(plan.settings["scheduler"])
        asked, schedule = asked or first[0], schedule or (first[1] if asked is None else None)
        found = sampler_names.find(asked, schedule, sampling(plan.checkpoint.row.family))
        if found is None:
            words = Said("Sampler not found", "sampler_not_found")
            raise SamplerNotFound(words, field="hr_sampler_name", hint="GET /sdapi/v1/samplers lists those there are.")
        if not found.exact:
            nearest = " ".join(sampler_names.names_of(found.key)).removesuffix(" Automatic")
            asked_for = f"{asked} {schedule or ''}".strip()
            plan.notes.append(f"The second pass with {asked_for} was drawn with {nearest}, the nearest.")
        return None if found.key == plan.settings["scheduler"] else found.key

    async def _styles(self, actor: Actor, wanted: SdDrawIn, notes: list[str]) -> list[str]:
        """Those of the request that there are. A1111 says nothing of the others; we do."""
        known = {style.name for style in await self._prompts.styles(actor)} if wanted.styles else set()
        notes += [f"There is no style {name}." for name in wanted.styles if name not in known]
        there = [name for name in wanted.styles if name in known]
        notes += [f"The style {name} was ignored: {MOST_STYLES} are the most." for name in there[MOST_STYLES:]]
        return there[:MOST_STYLES]

    async def _input(self, actor: Actor, text: str, field: str, *, mask: bool = False) -> str:
        """The id of a picture that came with a request."""
        try:
            return (await self._inputs.add_text(actor, text, field=field, mask=mask)).id
        except AtelierError as error:
            error.in_words_of({"file": field})
            error.blame(field)
            raise

    async def _draw(
        self, actor: Actor, wanted: SdDrawIn, plan: Plan, requests: list[GenerationIn], gone: Gone
    ) -> SdImagesOut:
        with self.orders.waiting(actor) as order:
            order.job_ids = await self.delivery.order(actor, requests)
            if order.interrupted:
                await self.delivery.cancel(actor, order.job_ids)
            images = await self.delivery.what_there_is(actor, order.job_ids, gone)
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


def _painting(wanted: SdImageToImageIn) -> dict[str, Any]:
    """How the part under the mask is painted. Beyond what Atelier does, the most that it does."""
    blur = max(wanted.mask_blur_x, wanted.mask_blur_y) if wanted.mask_blur is None else wanted.mask_blur
    return {
        "invert_mask": bool(wanted.inpainting_mask_invert),
        "mask_blur": min(blur, MOST_BLUR),
        "only_masked": wanted.inpaint_full_res,
        "padding": min(wanted.inpaint_full_res_padding, MOST_PADDING),
        "fill": FILLS[wanted.inpainting_fill],
    }


def _batches(wanted: SdDrawIn) -> list[dict[str, Any]]:
    """How many pictures each job makes, and from which seed. Raises BadRequest beyond MOST_PICTURES."""
    count = wanted.batch_size * wanted.n_iter
    if count > MOST_PICTURES:
        words = f"batch_size × n_iter is {count} pictures; one call makes {MOST_PICTURES} at most."
        said = Said(words, "sdapi.too_many", count=count, most=MOST_PICTURES)
        raise BadRequest(said, field="n_iter", hint="Ask several times.")
    seed, varied = _seed(wanted.seed, "seed"), wanted.subseed_strength > 0
    subseed = _seed(wanted.subseed, "subseed") if varied else 0
    batches, begun = [], 0
    for _ in range(wanted.n_iter):
        for size in portions(wanted.batch_size):
            # Variations are of one seed, and their subseeds go on.
            seeds: dict[str, Any] = {"seed": seed if varied else counted_up(seed, begun)}
            if varied:
                seeds |= {"subseed": counted_up(subseed, begun), "subseed_strength": wanted.subseed_strength}
            batches.append({"num_outputs": size, **seeds})
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
