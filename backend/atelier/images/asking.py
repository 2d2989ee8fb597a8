"""Decides everything about a request that its sender left open: the `resolved` part of its job.

Defaults are the model's, sizes come from the picture that it starts from, seeds are drawn. What a model cannot do is
refused here, with the field, the limit and what would do. Nothing is decided later: a job that is run twice makes the
same pictures.
"""

from __future__ import annotations

import secrets
from typing import Any

from engines.schedulers import SCHEDULERS, choices_for

from atelier.access.actor import Actor
from atelier.errors import BadRequest
from atelier.images.inputs import InputStore, Source
from atelier.images.schemas import (
    MAX_SEED,
    GenerationIn,
    ImageToImageIn,
    ImageToVideoIn,
    InpaintIn,
    OutpaintIn,
    TextToImageIn,
    UpscaleIn,
)
from atelier.models.families import sampling
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.said import Said
from atelier.tables import ModelRow

Wanted = TextToImageIn | ImageToImageIn | InpaintIn | OutpaintIn | UpscaleIn | ImageToVideoIn

TASKS: dict[type, str] = {
    TextToImageIn: "text_to_image",
    ImageToImageIn: "image_to_image",
}

MAX_SIDE = 4096
"""Of any result, whatever its model may do."""


async def resolve(actor: Actor, wanted: Wanted, model: ModelRow, inputs: InputStore) -> dict[str, Any]:
    """Everything decided. Raises BadRequest for what this model cannot do, ImageNotFound and InputNotFound."""
    decided = {"task": TASKS[type(wanted)], **_sampled(wanted, model)}
    if isinstance(wanted, TextToImageIn):
        return decided | _size(wanted, model)
    source = await inputs.use(actor, wanted.image)
    decided |= {"image": source.ref, "image_size": [source.width, source.height], "parent_id": source.parent_id}
    match wanted:
        case ImageToImageIn():
            return decided | _size(wanted, model, source) | {"strength": wanted.strength, "fit": wanted.fit}
    raise AssertionError(f"nobody resolves {type(wanted).__name__}")


def _sampled(wanted: GenerationIn, model: ModelRow) -> dict[str, Any]:
    """What every task has: which model, what to draw, how, and from which seeds."""
    defaults = ImageDefaults(**model.defaults)
    seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
    return {
        "model": model.key,
        "prompt": wanted.prompt,
        "negative_prompt": wanted.negative_prompt,
        "steps": wanted.steps or defaults.steps,
        "guidance_scale": defaults.guidance_scale if wanted.guidance_scale is None else wanted.guidance_scale,
        "scheduler": _scheduler(wanted.scheduler or defaults.scheduler, model),
        "format": wanted.format,
        "seeds": [(seed + index) % (MAX_SEED + 1) for index in range(wanted.num_outputs)],
    }


def _scheduler(scheduler: str | None, model: ModelRow) -> str | None:
    fitting = choices_for(sampling(model.family))
    if scheduler is None or scheduler in fitting:
        return scheduler
    known = ", ".join(fitting)
    values = {"scheduler": scheduler, "model": model.key, "known": known}
    if scheduler in SCHEDULERS:
        words = f"The scheduler {scheduler!r} does not fit the model {model.key!r}."
        said = Said(words, "request.scheduler_unfit", **values)
    else:
        said = Said(f"The scheduler {scheduler!r} does not exist.", "request.scheduler_unknown", **values)
    raise BadRequest(said, field="scheduler", hint=f"Take one of {known}.")


# ── sizes ──


def _size(wanted: GenerationIn | ImageToVideoIn, model: ModelRow, source: Source | None = None) -> dict[str, int]:
    """The size that was asked for; what was left out comes from the picture, or is the model's own."""
    defaults, limits = ImageDefaults(**model.defaults), ImageLimits(**model.limits)
    own = (defaults.width, defaults.height) if source is None else like(source.width, source.height, defaults, limits)
    if source is not None and wanted.width and not wanted.height:
        own = (0, _near(wanted.width * source.height / source.width, limits))
    elif source is not None and wanted.height and not wanted.width:
        own = (_near(wanted.height * source.width / source.height, limits), 0)
    sides = {"width": wanted.width or own[0], "height": wanted.height or own[1]}
    for field, side in sides.items():
        if not limits.min_side <= side <= limits.max_side or side % limits.multiple:
            raise BadRequest(
                Said(
                    f"{field} is {side} pixels, but the model {model.key!r} makes {limits.min_side} to "
                    f"{limits.max_side}, in multiples of {limits.multiple}.",
                    f"request.{field}_unfit",
                    side=side,
                    model=model.key,
                    min=limits.min_side,
                    max=limits.max_side,
                    multiple=limits.multiple,
                    default=getattr(defaults, field),
                ),
                field=field,
                hint=f"Leave it out for {getattr(defaults, field)}.",
            )
    return sides


def like(width: int, height: int, defaults: ImageDefaults, limits: ImageLimits) -> tuple[int, int]:
    """The size of a result that starts from a picture of this size: the same where the model can make that, else of
    its shape with as many pixels as the model was made for."""
    scale = 1.0
    if not all(limits.min_side <= side <= limits.max_side for side in (width, height)):
        scale = (defaults.width * defaults.height / (width * height)) ** 0.5
    return _near(width * scale, limits), _near(height * scale, limits)


def _near(side: float, limits: ImageLimits) -> int:
    """The nearest side that the model can make."""
    low = -(-limits.min_side // limits.multiple)
    high = limits.max_side // limits.multiple
    return min(max(round(side / limits.multiple), low), high) * limits.multiple
