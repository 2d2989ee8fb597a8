"""What made a picture, as it is written into the picture and told to the server: enough to make it again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import diffusers
import msgspec
import torch
import transformers

from engines.image_passes import task_of
from engines.image_sampling import Sampling
from engines.model_folder import weight_files
from engines.picture_files import QUALITY
from engines.protocol import InputImage, TextToImage, UpscalerUse

DENOISERS = ("unet", "transformer")
"""What pipelines call their denoiser."""


def recipe(task: TextToImage, index: int, samplings: list[Sampling], **about: Any) -> dict[str, Any]:
    """Of the picture `index`. `samplings`: of each pass; `about`: the model and the machine. What a task does not use
    is left out."""
    sampling = samplings[0]
    return {
        "task": task_of(task),
        "prompt": task.prompt,
        "negative_prompt": task.negative_prompt,
        "seed": task.seeds[index],
        "steps": task.steps,
        "guidance_scale": task.guidance_scale,
        "width": task.width,
        "height": task.height,
        "scheduler": sampling.key,
        "sampler": sampling.sampler,
        "schedule_type": sampling.schedule_type,
        **_variation(task, index),
        **_additions(task),
        **_from_pictures(task, samplings[-1]),
        **about,
        "engine": "diffusers_image",
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    return {
        "torch": torch.__version__.partition("+")[0],
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def model_hash(folder: Path, known: str) -> str:
    """SHA-256 over the denoiser's weight files in order of name, or over a checkpoint's one file, unless it is known;
    infotext shows its first ten digits."""
    if known:
        return known
    digest = hashlib.sha256()
    files = [folder] if folder.is_file() else next(filter(None, (weight_files(folder, name) for name in DENOISERS)), [])
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def named(image: InputImage) -> dict[str, str]:
    """A picture that came in: which one, and its bytes' hash."""
    return {"key": image.key, "sha256": image.sha256}


def _variation(task: TextToImage, index: int) -> dict[str, Any]:
    told: dict[str, Any] = {"clip_skip": task.clip_skip} if task.clip_skip else {}
    if task.sampler_settings is not None:
        told["sampler_settings"] = msgspec.to_builtins(task.sampler_settings)
    if task.format != "png" and task.quality != QUALITY:
        told["quality"] = task.quality
    if task.subseeds and task.subseed_strength > 0:
        told |= {"subseed": task.subseeds[index], "subseed_strength": task.subseed_strength}
    return told


def _additions(task: TextToImage) -> dict[str, Any]:
    """LoRAs and embeddings, in the words that the server takes them in; and what was typed."""
    told: dict[str, Any] = {"asked": task.asked} if task.asked else {}
    if task.loras:
        told["loras"] = [
            {
                "model": lora.key,
                "name": Path(lora.path).stem,
                "weight": lora.weight,
                "text_weight": lora.text_weight,
                "sha256": lora.sha256,
            }
            for lora in task.loras
        ]
    if task.embeddings:
        told["embeddings"] = [
            {"model": one.key or one.token, "token": one.token, "sha256": one.sha256} for one in task.embeddings
        ]
    return told


def _from_pictures(task: TextToImage, last: Sampling) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if (start := task.start) is not None:
        told["start"] = {**named(start.image), "strength": start.strength, "fit": start.fit}
        told["start"] |= _upscaler(start.upscaler)
    if (inpaint := task.inpaint) is not None:
        told["inpaint"] = {"mask": named(inpaint.mask), "blur": inpaint.blur, "fill": inpaint.fill}
        told["inpaint"] |= {"only_masked": inpaint.only_masked, "padding": inpaint.padding}
    if (hires := task.hires) is not None:
        told["hires"] = {"width": hires.width, "height": hires.height, "steps": hires.steps}
        told["hires"] |= {"strength": hires.strength, "upscaler": hires.upscaler, **_upscaler(hires.network)}
        if hires.scheduler is not None:
            told["hires"] |= {"scheduler": last.key, "sampler": last.sampler, "schedule_type": last.schedule_type}
    return told


def _upscaler(use: UpscalerUse | None) -> dict[str, str]:
    return {} if use is None else {"upscaler": use.key, "upscaler_sha256": use.sha256}
