"""Decides everything about a request that its sender left open: the `resolved` part of its job.

Defaults are the model's, sizes come from the picture that it starts from, seeds are drawn. What a model cannot do is
refused here, with the field, the limit and what would do. Nothing is decided later: a job that is run twice makes the
same pictures.
"""

from __future__ import annotations

import secrets
from typing import Any

from engines.schedulers import SCHEDULERS, choices_for, settings_of

from atelier.access.actor import Actor
from atelier.errors import BadRequest, Complaints
from atelier.images.inputs import InputStore, Source
from atelier.images.schemas import (
    MAX_SEED,
    GenerationIn,
    ImageToImageIn,
    ImageToVideoIn,
    InpaintIn,
    OutpaintIn,
    SizedIn,
    TextToImageIn,
    UpscaleIn,
    says_something,
)
from atelier.models.families import nearest_side, redraw_strength, sampling
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.said import Said
from atelier.tables import ModelRow

Wanted = TextToImageIn | ImageToImageIn | InpaintIn | OutpaintIn | UpscaleIn | ImageToVideoIn

TASKS: dict[type, str] = {
    TextToImageIn: "text_to_image",
    ImageToImageIn: "image_to_image",
    InpaintIn: "inpaint",
    OutpaintIn: "outpaint",
    UpscaleIn: "upscale",
    ImageToVideoIn: "image_to_video",
}

MAX_SIDE = 4096
"""Of any result, whatever its model may do."""

SHAPE = 0.02
"""By so much a mask's shape may differ from its picture's: rounded sizes."""
PAINTED = 128
"""From this value on a mask counts as white."""
FRAMES = 14
"""Of a video whose model does not say."""


async def resolve(actor: Actor, wanted: Wanted, model: ModelRow, inputs: InputStore) -> dict[str, Any]:
    """Everything decided. Raises BadRequest for what this model cannot do, with every field that is wrong;
    ImageNotFound and InputNotFound."""
    complaints = Complaints()
    decided: dict[str, Any] = {"task": TASKS[type(wanted)]}
    with complaints.heard():
        decided |= _sampled(wanted, model)
    with complaints.heard():
        decided |= await _shaped(actor, wanted, decided, model, inputs)
    complaints.raise_any()
    return decided


async def _shaped(
    actor: Actor, wanted: Wanted, sampled: dict[str, Any], model: ModelRow, inputs: InputStore
) -> dict[str, Any]:
    """What the picture that it starts from decides, and the size of the result."""
    if isinstance(wanted, TextToImageIn):
        return _passes(wanted, sampled, model)
    source = await inputs.use(actor, wanted.image)
    decided = {"image": source.ref, "image_size": [source.width, source.height], "parent_id": source.parent_id}
    match wanted:
        case InpaintIn():
            if wanted.hires is not None:
                words = Said("A second pass goes with whole pictures, not with a mask.", "request.hires_with_mask")
                raise BadRequest(words, field="hires", hint="Paint first, then make the picture larger.")
            complaints = Complaints()
            with complaints.heard():
                decided |= await _masked(actor, wanted, source, inputs)
            with complaints.heard():
                decided |= _size(wanted, model, source)
            complaints.raise_any()
            return decided | _blended(wanted)
        case ImageToImageIn():
            return decided | _passes(wanted, sampled, model, source) | _blended(wanted)
        case OutpaintIn():
            return decided | _canvas(wanted, model, source)
        case UpscaleIn():
            prompt = wanted.prompt if says_something(wanted.prompt) else source.prompt
            return decided | _enlarged(wanted, model, source) | {"prompt": prompt}
        case ImageToVideoIn():
            return decided | _moving(wanted, model, source)


def _sampled(wanted: Wanted, model: ModelRow) -> dict[str, Any]:
    """What every task has: which model, what to draw, how, and from which seeds."""
    defaults = ImageDefaults(**model.defaults)
    seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
    has_words = not isinstance(wanted, ImageToVideoIn)
    varied = wanted.subseed_strength if has_words else 0.0
    count = range(wanted.num_outputs)
    variations: dict[str, Any] = {}
    if varied:
        subseed = secrets.randbelow(MAX_SEED + 1) if wanted.subseed is None else wanted.subseed
        variations = {"subseeds": _counted(subseed, count), "subseed_strength": varied}
    scheduler = _scheduler((wanted.scheduler if has_words else None) or defaults.scheduler, model)
    return {
        "model": model.key,
        "prompt": wanted.prompt if has_words else "",
        "negative_prompt": wanted.negative_prompt if has_words else "",
        "steps": wanted.steps or defaults.steps,
        "guidance_scale": defaults.guidance_scale if wanted.guidance_scale is None else wanted.guidance_scale,
        "scheduler": scheduler,
        **({} if isinstance(wanted, ImageToVideoIn) else _told(wanted, scheduler)),
        "format": wanted.format,
        "seeds": [seed for _ in count] if varied else _counted(seed, count),
        **variations,
    }


def _counted(seed: int, count: range) -> list[int]:
    return [(seed + index) % (MAX_SEED + 1) for index in count]


def _told(wanted: GenerationIn, scheduler: str | None) -> dict[str, Any]:
    """What the sampler and the encoder of the file are told, where somebody said something. Raises BadRequest for a
    setting that the scheduler does not take."""
    given = {} if wanted.sampler_settings is None else wanted.sampler_settings.model_dump(exclude_none=True)
    complaints = Complaints()
    for name in given:
        with complaints.heard():
            _check_sampler_setting(name, scheduler)
    complaints.raise_any()
    told: dict[str, Any] = {"sampler_settings": given} if given else {}
    if wanted.format != "png" and wanted.quality != GenerationIn.model_fields["quality"].default:
        told["quality"] = wanted.quality
    return told


def _check_sampler_setting(name: str, scheduler: str | None) -> None:
    if name in settings_of(scheduler):
        return
    others = ", ".join(key for key in SCHEDULERS if name in settings_of(key))
    if scheduler is None:
        words = f"The model's own scheduler takes no {name}."
        said = Said(words, "request.sampler_setting_own", name=name, known=others)
    else:
        words = f"The scheduler {scheduler} takes no {name}."
        said = Said(words, "request.sampler_setting_unfit", scheduler=scheduler, name=name, known=others)
    raise BadRequest(said, field=f"sampler_settings.{name}", hint=f"These take {name}: {others}.")


def _scheduler(scheduler: str | None, model: ModelRow, field: str = "scheduler") -> str | None:
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
    raise BadRequest(said, field=field, hint=f"Take one of {known}.")


# ── sizes ──


def _size(wanted: SizedIn | ImageToVideoIn, model: ModelRow, source: Source | None = None) -> dict[str, int]:
    """The size that was asked for; what was left out comes from the picture, or is the model's own."""
    defaults, limits = ImageDefaults(**model.defaults), ImageLimits(**model.limits)
    own = (defaults.width, defaults.height) if source is None else like(source.width, source.height, defaults, limits)
    if source is not None and wanted.width and not wanted.height:
        own = (0, nearest_side(wanted.width * source.height / source.width, limits))
    elif source is not None and wanted.height and not wanted.width:
        own = (nearest_side(wanted.height * source.width / source.height, limits), 0)
    return _fitting({"width": wanted.width or own[0], "height": wanted.height or own[1]}, model)


def _fitting(sides: dict[str, int], model: ModelRow) -> dict[str, int]:
    """These sides, when the model can make them. Raises BadRequest."""
    complaints = Complaints()
    for field, side in sides.items():
        with complaints.heard():
            _check_side(field, side, model)
    complaints.raise_any()
    return sides


def _check_side(field: str, side: int, model: ModelRow) -> None:
    default, limits = getattr(ImageDefaults(**model.defaults), field), ImageLimits(**model.limits)
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
                default=default,
            ),
            field=field,
            hint=f"Leave {field} out for {default}.",
        )


def _passes(wanted: SizedIn, sampled: dict[str, Any], model: ModelRow, source: Source | None = None) -> dict[str, Any]:
    """The size of the first pass, and everything about a second. Raises BadRequest for one that is too large."""
    complaints = Complaints()
    decided: dict[str, Any] = {}
    with complaints.heard():
        decided |= _size(wanted, model, source)
        if wanted.hires is not None:
            steps = wanted.hires.steps or sampled.get("steps")
            how = {"strength": wanted.hires.strength, "upscaler": wanted.hires.upscaler}
            larger = _larger(decided, wanted.hires.scale, model, "hires.scale")
            decided |= {"hires": {**larger, "steps": steps, **how}}
    with complaints.heard():
        if wanted.hires is not None and (scheduler := _scheduler(wanted.hires.scheduler, model, "hires.scheduler")):
            decided.get("hires", {})["scheduler"] = scheduler
    complaints.raise_any()
    return decided


def _larger(size: dict[str, int], scale: float, model: ModelRow, field: str) -> dict[str, int]:
    """A size times the scale. It may go beyond what the model draws in one piece: it has a picture to go by."""
    multiple = ImageLimits(**model.limits).multiple
    result = {name: max(1, round(side * scale / multiple)) * multiple for name, side in size.items()}
    check_sides(result["width"], result["height"], field)
    return result


def check_sides(width: int, height: int, field: str) -> None:
    """Raises BadRequest for a result that is too large for any model."""
    if (largest := max(width, height)) > MAX_SIDE:
        words = f"The picture would be {largest} pixels on a side; {MAX_SIDE} are made at most."
        said = Said(words, "request.upscale_too_large", side=largest, max=MAX_SIDE)
        raise BadRequest(said, field=field, hint="Take a smaller scale.")


def _canvas(wanted: OutpaintIn, model: ModelRow, source: Source) -> dict[str, Any]:
    """How much is added at each side. What a side lacks of the next size that the model can make is added as well, at
    the end that grows anyway."""
    limits = ImageLimits(**model.limits)
    added = {side: getattr(wanted, side) for side in ("left", "right", "top", "bottom")}
    if not any(added.values()):
        words = Said("Nothing is added at any side.", "request.nothing_added")
        raise BadRequest(words, field="left", hint="Say by how many pixels it is to grow: left, right, top or bottom.")
    result: dict[str, int] = {}
    for name, side, ends in (("width", source.width, ("left", "right")), ("height", source.height, ("top", "bottom"))):
        whole = side + sum(added[end] for end in ends)
        result[name] = max(-(-whole // limits.multiple) * limits.multiple, limits.min_side)
        grows = ends[0] if added[ends[0]] and not added[ends[1]] else ends[1]
        added[grows] += result[name] - whole
        if result[name] > limits.max_side:
            raise BadRequest(
                Said(
                    f"The picture would be {result[name]} pixels on a side, but the model {model.key!r} makes "
                    f"{limits.max_side} at most.",
                    "request.canvas_too_large",
                    side=result[name],
                    model=model.key,
                    max=limits.max_side,
                ),
                field=next((end for end in ends if getattr(wanted, end)), "image"),
                hint="Add less, or start from a smaller picture.",
            )
    return {**result, **added, "feather": wanted.feather, "strength": wanted.strength}


def _enlarged(wanted: UpscaleIn, model: ModelRow, source: Source) -> dict[str, Any]:
    size = _larger({"width": source.width, "height": source.height}, wanted.scale, model, "scale")
    own = redraw_strength(ImageDefaults(**model.defaults))
    return {**size, "scale": wanted.scale, "strength": own if wanted.strength is None else wanted.strength}


def _moving(wanted: ImageToVideoIn, model: ModelRow, source: Source) -> dict[str, Any]:
    """Size and length of a video. Video models know one size: upright for a picture that stands upright."""
    defaults = ImageDefaults(**model.defaults)
    width, height = defaults.width, defaults.height
    if (source.height > source.width) != (height > width):
        width, height = height, width
    sides = {"width": wanted.width or width, "height": wanted.height or height}
    names = ("fps", "motion", "noise")
    return {
        **_fitting(sides, model),
        "frames": wanted.frames or defaults.frames or FRAMES,
        **{name: getattr(wanted, name) for name in names},
    }


def _blended(wanted: ImageToImageIn) -> dict[str, Any]:
    return {"strength": wanted.strength, "fit": wanted.fit}


async def _masked(actor: Actor, wanted: InpaintIn, source: Source, inputs: InputStore) -> dict[str, Any]:
    """The mask, looked at. Raises BadRequest for one of another shape, and for one that leaves nothing to paint."""
    mask = await inputs.use(actor, wanted.mask, "mask")
    if abs(mask.width * source.height - mask.height * source.width) > SHAPE * mask.width * source.height:
        raise BadRequest(
            Said(
                f"The mask has {mask.width} × {mask.height} pixels, the picture {source.width} × {source.height}: that "
                "is another shape.",
                "request.mask_shape",
                mask_width=mask.width,
                mask_height=mask.height,
                width=source.width,
                height=source.height,
            ),
            field="mask",
            hint="Make the mask as large as the picture.",
        )
    seen = await inputs.reader.read(mask.path, mode="L", invert=wanted.invert_mask)
    if seen["high"] < PAINTED:
        words = Said("The mask marks nothing: nothing would be painted.", "request.mask_empty")
        hint = "Make white what is to be painted, or turn the mask around; over /v1/images/edits make it transparent."
        raise BadRequest(words, field="mask", hint=hint)
    names = ("mask", "invert_mask", "mask_blur", "only_masked", "padding", "fill")
    return {name: getattr(wanted, name) for name in names}


def like(width: int, height: int, defaults: ImageDefaults, limits: ImageLimits) -> tuple[int, int]:
    """The size of a result that starts from a picture of this size: the same where the model can make that, else of
    its shape with as many pixels as the model was made for."""
    scale = 1.0
    if not all(limits.min_side <= side <= limits.max_side for side in (width, height)):
        scale = (defaults.width * defaults.height / (width * height)) ** 0.5
    return nearest_side(width * scale, limits), nearest_side(height * scale, limits)
