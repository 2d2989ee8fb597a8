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
from atelier.tables import ModelRow

Task = protocol.TextToImage | protocol.ImageToVideo


async def task_of(attempt: Attempt, model: ModelRow, folder: Path, inputs: InputStore, uses: Uses) -> Task:
    """What the worker is to do for this attempt, its files in `folder`. Raises NotFound when a picture is gone."""
    resolved = attempt.job.request["resolved"]
    # Whether its owner may use the pictures was asked when the request was accepted; an administrator may use others'.
    actor = Actor(attempt.job.owner_id, "", Role.ADMIN)
    return protocol.TextToImage(
        **_common(attempt, resolved, model, folder),
        prompt=resolved["prompt"],
        negative_prompt=resolved["negative_prompt"],
        start=await _start(resolved, folder, actor, inputs),
        loras=uses.loras,
        embeddings=uses.embeddings,
        clip_skip=resolved.get("clip_skip", 0),
    )


def work_of(task: Task) -> Work:
    """How large it is, for the estimates of memory and time."""
    return Work(task.width, task.height, len(task.seeds), guided=task.guidance_scale > 1)


def added_bytes(task: Task) -> int:
    """What the task's LoRAs take beside the model: their files are of half precision, and may be kept in whole. Looks
    at the disk."""
    files = {lora.path for lora in getattr(task, "loras", ())}
    return sum(2 * Path(file).stat().st_size for file in files if Path(file).is_file())


def _common(attempt: Attempt, resolved: dict[str, Any], model: ModelRow, folder: Path) -> dict[str, Any]:
    names = ("seeds", "steps", "guidance_scale", "width", "height", "scheduler", "format")
    return {
        "task_id": f"{attempt.job.id}-{attempt.job.attempt}",
        "output_dir": str(folder),
        "model_key": model.key,
        **{name: resolved[name] for name in names},
    }


async def _start(
    resolved: dict[str, Any], folder: Path, actor: Actor, inputs: InputStore
) -> protocol.ImageStart | None:
    if "image" not in resolved:
        return None
    image = await inputs.open(actor, resolved["image"], folder=folder)
    return protocol.ImageStart(image=image, strength=resolved["strength"], fit=resolved["fit"])
