"""The `info` of an answer: what A1111 says of the pictures that it made, as a JSON string inside the JSON."""

from __future__ import annotations

from typing import Any

import orjson

from atelier import __version__
from atelier.clock import now
from atelier.images.file_texts import texts_of
from atelier.sdapi.checkpoints import Checkpoint
from atelier.sdapi.progress import stamp
from atelier.sdapi.schemas import SdDrawIn
from atelier.shapes import ImageOut


def infotext_of(data: bytes) -> str:
    """What stands in the picture's file."""
    return texts_of(data).get("parameters", "")


def info_of(
    wanted: SdDrawIn,
    checkpoint: Checkpoint,
    images: list[ImageOut],
    infotexts: list[str],
    *,
    sampler: str,
    clip_layers: int,
    notes: list[str],
) -> str:
    """`images` may be none: an interrupted call made nothing."""
    first = images[0] if images else None
    subseeds = [image.recipe.get("subseed", image.seed) for image in images]
    prompt = first.prompt if first else wanted.prompt
    negative = first.negative_prompt if first else wanted.negative_prompt
    strength = wanted.denoising_strength if first and "strength" in first.recipe else None
    info: dict[str, Any] = {
        "prompt": prompt,
        "all_prompts": [image.prompt for image in images],
        "negative_prompt": negative,
        "all_negative_prompts": [image.negative_prompt for image in images],
        "seed": first.seed if first else wanted.seed,
        "all_seeds": [image.seed for image in images],
        "subseed": subseeds[0] if subseeds else wanted.subseed,
        "all_subseeds": subseeds,
        "subseed_strength": wanted.subseed_strength,
        "width": first.width if first else wanted.width,
        "height": first.height if first else wanted.height,
        "sampler_name": sampler,
        "cfg_scale": first.guidance_scale if first else wanted.cfg_scale,
        "steps": first.steps if first else wanted.steps,
        "batch_size": wanted.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": checkpoint.name,
        "sd_model_hash": checkpoint.hash,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": strength,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": infotexts,
        "styles": wanted.styles,
        "job_timestamp": stamp(now()),
        "clip_skip": clip_layers,
        "is_using_inpainting_conditioning": False,
        "version": f"Atelier {__version__}",
        "comments": "\n".join(notes),
        "image_ids": [image.id for image in images],
    }
    return orjson.dumps(info).decode()
