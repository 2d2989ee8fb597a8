"""Reads the settings of a picture back from its file: our own recipe, A1111's text, or what other programs write.

What comes out are fields of a request that would make the picture again, as far as this Atelier has what it takes;
what it lacks is named. Nothing of the file is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from engines import sampler_names, schedulers
from pydantic import BaseModel, Field, ValidationError

from atelier.access.actor import Actor
from atelier.images import infotext
from atelier.images.inputs import InputStore
from atelier.images.other_programs import told_by
from atelier.images.prompt_schemas import StyleOut
from atelier.images.prompts import PromptBook
from atelier.images.schemas import TextToImageIn
from atelier.images.typed import as_typed
from atelier.images.upscalers import WITHOUT_MODEL
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import ModelOut
from atelier.shapes import ImageOut

_LORA = re.compile(r"<lora:([^:>]+)(?::([^:>]*))?(?::([^:>]*))?>", re.IGNORECASE)
MAX_JSON = 200_000


class LackOut(BaseModel):
    """Something that the picture was made with and that is not to be had here."""

    kind: Literal["model", "lora", "scheduler", "upscaler", "image"]
    name: str


class SettingsOut(BaseModel):
    """What a picture's file says about how it was made."""

    source: Literal["atelier", "a1111", "comfyui", "invokeai", "fooocus"] | None = Field(
        description="Which program says it, or whose manner it follows. Null: it says nothing."
    )
    settings: dict[str, Any] = Field(
        description="Fields of `POST /api/generate/text-to-image` that make it again, as far as they are known here."
    )
    missing: list[LackOut] = Field(description="What it was made with and this Atelier lacks.")
    model_name: str | None = Field(description="What the file calls its model.")
    text: str | None = Field(description="A1111's text as it stands in the file.")
    recipe: dict[str, Any] | None = Field(description="Our own recipe as it stands in the file.")
    width: int
    height: int


class SettingsReader:
    """Files of strangers are read in a process of their own (`InputStore.read_metadata`)."""

    def __init__(self, inputs: InputStore, registry: ModelRegistry, prompts: PromptBook) -> None:
        self._inputs, self._registry, self._prompts = inputs, registry, prompts

    async def read(self, actor: Actor, chunks: AsyncIterator[bytes]) -> SettingsOut:
        """Raises InputRefused for what is no picture."""
        return await self._told(actor, await self._inputs.read_metadata(chunks))

    async def of(self, actor: Actor, image: ImageOut) -> SettingsOut:
        """Of a picture that is here, by its row."""
        recipe = json.dumps({"prompt": image.prompt, "model": image.model, "seed": image.seed, **image.recipe})
        return await self._told(actor, {"texts": {"atelier": recipe}, "width": image.width, "height": image.height})

    async def _told(self, actor: Actor, found: Mapping[str, Any]) -> SettingsOut:
        models = await self._registry.list(actor)
        return settings_of(found, models, await self._prompts.styles(actor))


def settings_of(found: Mapping[str, Any], models: Sequence[ModelOut], styles: Sequence[StyleOut] = ()) -> SettingsOut:
    """`found`: the answer of `protocol.ReadMetadata`. Pure."""
    texts: Mapping[str, str] = found.get("texts", {})
    recipe, text = _recipe(texts.get("atelier")), texts.get("parameters")
    told: dict[str, Any] = {}
    source: Literal["atelier", "a1111", "comfyui", "invokeai", "fooocus"] | None = None
    if recipe is not None:
        source, told = "atelier", dict(recipe)
    elif text and (pairs := infotext.parse(text)).get("Steps"):
        source, told = "a1111", _from_a1111(pairs)
    elif others := told_by(texts):
        source, told = others
    missing: list[LackOut] = []
    model = _model(told, models, missing) if source else None
    loras = _loras(told.get("loras"), models, missing)
    if recipe is not None and not any(one.kind == "lora" for one in missing):
        told = as_typed(told, {style.name: style for style in styles})
        loras = _loras(told.get("loras"), models, missing)
    upscalers = [one for one in models if one.type == "upscaler" and one.available]
    settings = _fitting(told, model, loras, upscalers, missing)
    if "start" in told:
        start = told["start"].get("image") if isinstance(told["start"], dict) else None
        missing.append(LackOut(kind="image", name=str(start or "?")[:200]))
    return SettingsOut(
        source=source,
        settings=settings,
        missing=missing,
        model_name=str(told["model"])[:200] if told.get("model") else None,
        text=text,
        recipe=recipe,
        width=found["width"],
        height=found["height"],
    )


def _recipe(text: str | None) -> dict[str, Any] | None:
    """Our own recipe; in EXIF it stands under one key."""
    if not text or len(text) > MAX_JSON:
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    read = read.get("atelier", read) if isinstance(read, dict) else None
    return read if isinstance(read, dict) and isinstance(read.get("prompt"), str) else None


def _from_a1111(pairs: Mapping[str, str]) -> dict[str, Any]:
    """A1111's words as ours. Its clip skip counts the layer that is read, ours those that are left out."""
    told: dict[str, Any] = {"prompt": pairs["Prompt"], "negative_prompt": pairs["Negative prompt"]}
    for ours, theirs, kind in (
        ("steps", "Steps", int),
        ("guidance_scale", "CFG scale", float),
        ("seed", "Seed", int),
        ("width", "Size-1", int),
        ("height", "Size-2", int),
        ("subseed", "Variation seed", int),
        ("subseed_strength", "Variation seed strength", float),
    ):
        if (value := _number(pairs.get(theirs), kind)) is not None:
            told[ours] = value
    if (skip := _number(pairs.get("Clip skip"), int)) is not None:
        told["clip_skip"] = max(0, skip - 1)
    if pairs.get("Model"):
        told["model"], told["model_hash"] = pairs["Model"], pairs.get("Model hash", "")
    if pairs.get("Sampler"):
        told["sampler"], told["schedule_type"] = pairs["Sampler"], pairs.get("Schedule type")
    settings = {ours: _number(pairs.get(theirs), float) for ours, theirs in sampler_names.SETTING_WORDS.items()}
    if settings := {name: value for name, value in settings.items() if value is not None}:
        told["sampler_settings"] = settings
    if scale := _number(pairs.get("Hires upscale"), float):
        strength, steps = _number(pairs.get("Denoising strength"), float), _number(pairs.get("Hires steps"), int)
        told["hires"] = {"scale": scale, "strength": strength or 0.5, "steps": steps or None}
        if upscaler := pairs.get("Hires upscaler"):
            told["hires"]["upscaler"] = "latent" if upscaler.startswith("Latent") else upscaler
        if pairs.get("Hires sampler") or pairs.get("Hires schedule type"):
            sampler = pairs.get("Hires sampler") or pairs.get("Sampler")
            told["hires"] |= {"sampler": sampler, "schedule_type": pairs.get("Hires schedule type")}
    told["loras"] = [
        {"model": name, "weight": _number(weight, float) or 1.0} for name, weight, _ in _LORA.findall(told["prompt"])
    ]
    told["prompt"] = "\n".join(line.strip() for line in _LORA.sub("", told["prompt"]).strip().split("\n"))
    return told


def _number(text: str | None, kind: type) -> Any:
    try:
        return kind(text) if text is not None else None
    except ValueError:
        return None


# ── what is there ──


def _model(told: Mapping[str, Any], models: Sequence[ModelOut], missing: list[LackOut]) -> ModelOut | None:
    name = str(told.get("model") or "")
    usable = [one for one in models if one.task == "image" and one.runnable]
    model = _named(name, usable)
    if model is None and name:
        missing.append(LackOut(kind="model", name=name[:200]))
    return model


def _named(name: str, models: Sequence[ModelOut]) -> ModelOut | None:
    """By key, else by name or repository, whatever the case."""
    wanted = name.casefold()
    for one in models:
        if one.key == name:
            return one
    alike = [one for one in models if wanted in {one.key, one.name.casefold(), (one.repo or "").casefold()}]
    return alike[0] if alike and wanted else None


def _fitting(
    told: Mapping[str, Any],
    model: ModelOut | None,
    loras: list[dict[str, Any]],
    upscalers: Sequence[ModelOut],
    missing: list[LackOut],
) -> dict[str, Any]:
    """The fields that a request takes, each only when it is taken."""
    wanted: dict[str, Any] = {name: told[name] for name in TextToImageIn.model_fields if told.get(name) is not None}
    for name in ("model", "scheduler", "sampler_settings", "loras", "hires", "format", "num_outputs"):
        wanted.pop(name, None)
    if model is not None:
        wanted["model"] = model.key
        if scheduler := _scheduler(told, model, missing):
            wanted["scheduler"] = scheduler
        if settings := _sampler_settings(told, wanted.get("scheduler")):
            wanted["sampler_settings"] = settings
    if loras:
        wanted["loras"] = loras
    if hires := _hires(told, model, upscalers, missing):
        wanted["hires"] = hires
    return {name: value for name, value in wanted.items() if _taken(name, value)}


def _taken(name: str, value: Any) -> bool:
    """Whether a request with this field is not refused for it."""
    try:
        TextToImageIn.model_validate({"prompt": "x", name: value})
    except ValidationError:
        return False
    return True


def _scheduler(told: Mapping[str, Any], model: ModelOut, missing: list[LackOut]) -> str | None:
    if "steps" not in told:
        return None
    own = told.get("scheduler")
    fitting = schedulers.choices_for(model.sampling)
    if isinstance(own, str) and own in fitting:
        return own
    if own is None and "versions" in told:  # our own recipe: the model's own scheduler was meant
        return None
    sampler = str(told.get("sampler") or own or "")
    found = sampler_names.find(sampler, told.get("schedule_type"), model.sampling) if sampler else None
    if found is None or not found.exact:
        if sampler:
            missing.append(LackOut(kind="scheduler", name=sampler[:100]))
        return found.key if found else None
    return found.key


def _loras(told: Any, models: Sequence[ModelOut], missing: list[LackOut]) -> list[dict[str, Any]]:
    there = [one for one in models if one.type == "lora"]
    found = []
    for one in told if isinstance(told, list) else []:
        if not isinstance(one, dict):
            continue
        name = str(one.get("model") or one.get("key") or one.get("name") or "")
        lora = _named(name, there)
        if lora is None:
            missing.append(LackOut(kind="lora", name=name[:200]))
        else:
            weights = {key: one[key] for key in ("weight", "text_weight") if one.get(key) is not None}
            found.append({"model": lora.key, **weights})
    return found


def _sampler_settings(told: Mapping[str, Any], scheduler: str | None) -> dict[str, Any]:
    """Those that the scheduler takes: A1111 writes down what it was told, whatever the sampler made of it."""
    given = told.get("sampler_settings")
    known = schedulers.settings_of(scheduler)
    return {name: value for name, value in given.items() if name in known} if isinstance(given, dict) else {}


def _hires(
    told: Mapping[str, Any], model: ModelOut | None, upscalers: Sequence[ModelOut], missing: list[LackOut]
) -> dict[str, Any] | None:
    hires = told.get("hires")
    if not isinstance(hires, dict):
        return None
    scale = hires.get("scale")
    if scale is None:
        scale = _ratio(hires.get("width"), told.get("width"))
    kept = {key: hires[key] for key in ("steps", "strength") if hires.get(key) is not None}
    if upscaler := _upscaler(str(hires.get("upscaler") or ""), upscalers, missing):
        kept["upscaler"] = upscaler
    if model is not None and (hires.get("scheduler") or hires.get("sampler")):
        kept["scheduler"] = _scheduler({**hires, "steps": hires.get("steps", 0)}, model, missing)
    return {"scale": scale, **kept} if scale else None


def _ratio(larger: Any, smaller: Any) -> float | None:
    """Of two sides; None of what are none."""
    try:
        return larger / smaller
    except (TypeError, ArithmeticError):
        return None


def _upscaler(name: str, upscalers: Sequence[ModelOut], missing: list[LackOut]) -> str | None:
    if name.casefold() in WITHOUT_MODEL:
        return name.casefold()
    found = _named(name, upscalers)
    if found is None and name and name != "None":
        missing.append(LackOut(kind="upscaler", name=name[:200]))
    return found.key if found else None
