"""From a job's `resolved` part to what the engine is told: pictures opened, masks and canvases made in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines import protocol

from atelier.access.actor import Actor, Role
from atelier.images.additions import Uses
from atelier.images.inputs import InputStore
from atelier.jobs.attempt import Attempt
from atelier.models.estimate import Work
from atelier.models.sizing import Sizing
from atelier.tables import ModelRow

Task = protocol.TextToImage | protocol.ImageToVideo


async def task_of(attempt: Attempt, model: ModelRow, folder: Path, inputs: InputStore, uses: Uses) -> Task:
    """What the worker is to do for this attempt, its files in `folder`. Raises NotFound when a picture is gone."""
    resolved = attempt.job.request["resolved"]
    # Whether its owner may use the pictures was asked when the request was accepted; an administrator may use others'.
    actor = Actor(attempt.job.owner_id, "", Role.ADMIN)
    common = _common(attempt, resolved, model, folder)
    if "image" not in resolved:
        return protocol.TextToImage(**common, **_words(resolved, uses))
    image = await inputs.open(actor, resolved["image"], folder=folder)
    match resolved["task"]:
        case "image_to_video":
            names = ("frames", "fps", "motion", "noise")
            return protocol.ImageToVideo(**common, image=image, **{name: resolved[name] for name in names})
        case "outpaint":
            image, mask = await _extended(image, resolved, folder, inputs)
            inpaint = protocol.Inpaint(mask=mask, blur=0)
        case "inpaint":
            inpaint = await _inpaint(resolved, folder, actor, inputs)
        case _:
            inpaint = None
    # A canvas has the result's size already; of an enlarged picture the rounding is cut off.
    start = protocol.ImageStart(image=image, strength=resolved["strength"], fit=resolved.get("fit", "crop"))
    start.upscaler = uses.upscaler if resolved["task"] == "upscale" else None
    return protocol.TextToImage(**common, **_words(resolved, uses), start=start, inpaint=inpaint)


async def _inpaint(resolved: dict[str, Any], folder: Path, actor: Actor, inputs: InputStore) -> protocol.Inpaint:
    width, height = resolved["image_size"]
    mask = await inputs.open(
        actor,
        resolved["mask"],
        folder=folder,
        mode="L",
        invert=resolved["invert_mask"],
        width=width,
        height=height,
    )
    names = ("only_masked", "padding", "fill")
    return protocol.Inpaint(mask=mask, blur=resolved["mask_blur"], **{name: resolved[name] for name in names})


async def _extended(
    image: protocol.InputImage, resolved: dict[str, Any], folder: Path, inputs: InputStore
) -> tuple[protocol.InputImage, protocol.InputImage]:
    """The canvas that a picture is painted on beyond its edges, and the mask of what is to be painted."""
    canvas, mask = folder / "canvas.png", folder / "outside.png"
    sides = {name: resolved[name] for name in ("left", "right", "top", "bottom", "feather")}
    await inputs.reader.extend(Path(image.path), canvas, mask, **sides)
    return (
        protocol.InputImage(path=str(canvas), key=image.key, sha256=image.sha256),
        protocol.InputImage(path=str(mask), key="outside"),
    )


def work_of(task: Task) -> Work:
    """How large it is, for the estimates of memory and time."""
    frames = task.frames if isinstance(task, protocol.ImageToVideo) else 1
    larger = task.hires if isinstance(task, protocol.TextToImage) and task.hires else task
    return Work(larger.width, larger.height, len(task.seeds), guided=task.guidance_scale > 1, frames=frames)


def added_bytes(task: Task, sizing: Sizing) -> int:
    """What the task's LoRAs and its upscaler take beside the model: LoRAs' files are of half precision, and may be kept
    in whole. Looks at the disk."""
    files = {lora.path for lora in getattr(task, "loras", ())}
    loras = sum(2 * Path(file).stat().st_size for file in files if Path(file).is_file())
    work = work_of(task)
    return loras + sum(sizing.upscaler_bytes(Path(use.path), work.width * work.height) for use in _upscalers(task))


def _upscalers(task: Task) -> list[protocol.UpscalerUse]:
    if isinstance(task, protocol.ImageToVideo):
        return []
    uses = (task.start and task.start.upscaler, task.hires and task.hires.network)
    return [use for use in uses if use is not None]


def _common(attempt: Attempt, resolved: dict[str, Any], model: ModelRow, folder: Path) -> dict[str, Any]:
    names = ("seeds", "steps", "guidance_scale", "width", "height", "scheduler", "format")
    return {
        "task_id": f"{attempt.job.id}-{attempt.job.attempt}",
        "output_dir": str(folder),
        "model_key": model.key,
        **{name: resolved[name] for name in names},
    }


def _second_pass(resolved: dict[str, Any], uses: Uses) -> protocol.Hires | None:
    if "hires" not in resolved:
        return None
    told = {name: value for name, value in resolved["hires"].items() if name != "upscaler_sha256"}
    return protocol.Hires(**told, network=uses.upscaler)


def _sampler_settings(resolved: dict[str, Any]) -> protocol.SamplerSettings | None:
    return protocol.SamplerSettings(**resolved["sampler_settings"]) if "sampler_settings" in resolved else None


def _words(resolved: dict[str, Any], uses: Uses) -> dict[str, Any]:
    """What it is told in words, and what changes the model for it."""
    return {
        "prompt": resolved["prompt"],
        "negative_prompt": resolved["negative_prompt"],
        "loras": uses.loras,
        "embeddings": uses.embeddings,
        "clip_skip": resolved.get("clip_skip", 0),
        "sampler_settings": _sampler_settings(resolved),
        **({"quality": resolved["quality"]} if "quality" in resolved else {}),
        "subseeds": resolved.get("subseeds", []),
        "subseed_strength": resolved.get("subseed_strength", 0.0),
        "hires": _second_pass(resolved, uses),
        "asked": resolved.get("asked", {}),
    }
