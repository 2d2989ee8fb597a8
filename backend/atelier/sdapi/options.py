"""A1111's options: a flat dictionary that clients read, change a little and send back whole.

Three of them mean something here, each user's own: which model draws, how many of CLIP's layers are left out, and the
format of the pictures. The others are told because clients look for them; what is sent for them changes nothing. The
model is the first of the list until somebody chooses. What was chosen lies in one small file and outlives the server.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from atelier.access.actor import Actor
from atelier.errors import BadRequest
from atelier.said import Said
from atelier.sdapi.checkpoints import Checkpoint, Checkpoints

log = structlog.get_logger("atelier.sdapi")

FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
MOST_CLIP_LAYERS = 9

TOLD: dict[str, Any] = {
    "samples_save": True,
    "grid_save": False,
    "save_images_add_number": True,
    "export_for_4chan": False,
    "enable_pnginfo": True,
    "face_restoration": False,
    "face_restoration_model": None,
    "sd_vae": "Automatic",
    "sd_vae_checkpoint_cache": 0,
    "sd_checkpoint_cache": 0,
    "eta_noise_seed_delta": 0,
    "eta_ancestral": 1.0,
    "eta_ddim": 0.0,
    "img2img_color_correction": False,
    "inpainting_mask_weight": 1.0,
    "initial_noise_multiplier": 1.0,
    "live_previews_enable": True,
    "show_progress_every_n_steps": 1,
    "live_preview_refresh_period": 1000.0,
    "randn_source": "CPU",
    "upcast_attn": False,
    "tiling": False,
    "add_model_hash_to_info": True,
    "add_model_name_to_info": True,
    "interrogate_clip_num_beams": 1,
    "outdir_samples": "",
    "outdir_txt2img_samples": "",
    "outdir_img2img_samples": "",
    "memmon_poll_rate": 0,
}


@dataclass(frozen=True)
class Chosen:
    """What a user set. `checkpoint` None: the first model that there is. `clip_layers` counts as A1111 does, from 1."""

    checkpoint: str | None = None
    clip_layers: int = 1
    format: str = "png"

    @property
    def clip_skip(self) -> int:
        return self.clip_layers - 1


class Options:
    """`file` holds what each user chose, by the user's id."""

    def __init__(self, checkpoints: Checkpoints, file: Path) -> None:
        self._checkpoints, self._file = checkpoints, file
        self._chosen = _kept(file)
        self._writing = asyncio.Lock()

    def chosen(self, actor: Actor) -> Chosen:
        return self._chosen.get(actor.id, Chosen())

    async def checkpoint(self, actor: Actor, chosen: Chosen) -> Checkpoint:
        """Raises ModelNotFound where the chosen one is gone, or there is none at all."""
        if chosen.checkpoint is None and (there := await self._checkpoints.all(actor)):
            return there[0]
        return await self._checkpoints.find(actor, chosen.checkpoint or "")

    async def read(self, actor: Actor) -> dict[str, Any]:
        chosen = self.chosen(actor)
        there = await self._checkpoints.all(actor)
        current = next((one for one in there if one.name == chosen.checkpoint), there[0] if there else None)
        return {
            **TOLD,
            "sd_model_checkpoint": current.title if current else None,
            "sd_checkpoint_hash": current.sha256 or "" if current else "",
            "CLIP_stop_at_last_layers": chosen.clip_layers,
            "samples_format": "jpg" if chosen.format == "jpeg" else chosen.format,
        }

    async def change(self, actor: Actor, given: dict[str, Any]) -> None:
        """Take over what means something. Raises ModelNotFound and BadRequest; then nothing was changed."""
        chosen = await self.changed(actor, self.chosen(actor), given)
        if chosen == self.chosen(actor):
            return
        self._chosen[actor.id] = chosen
        async with self._writing:
            kept = orjson.dumps({owner: asdict(one) for owner, one in self._chosen.items()})
            await asyncio.to_thread(_keep, self._file, kept)

    async def changed(self, actor: Actor, chosen: Chosen, given: dict[str, Any]) -> Chosen:
        """`chosen` with what of `given` means something."""
        name = given.get("sd_model_checkpoint")
        if name:
            chosen = replace(chosen, checkpoint=(await self._checkpoints.find(actor, str(name))).name)
        if (layers := given.get("CLIP_stop_at_last_layers")) is not None:
            chosen = replace(chosen, clip_layers=_layers(layers))
        if (form := given.get("samples_format")) is not None:
            chosen = replace(chosen, format=_format(form))
        return chosen


def _kept(file: Path) -> dict[str, Chosen]:
    """What the file says; nothing where it cannot be read, for options are chosen anew in a moment."""
    try:
        return {owner: Chosen(**one) for owner, one in orjson.loads(file.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("sdapi.options_unread", error=str(error))
        return {}


def _keep(file: Path, data: bytes) -> None:
    """Whole or not at all. That it could not be kept is no reason to refuse the choice."""
    beside = file.with_suffix(".new")
    try:
        beside.write_bytes(data)
        beside.replace(file)
    except OSError as error:
        log.warning("sdapi.options_not_kept", error=str(error))


def _layers(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MOST_CLIP_LAYERS:
        words = f"CLIP_stop_at_last_layers may be 1 to {MOST_CLIP_LAYERS}."
        said = Said(words, "sdapi.clip_layers", most=MOST_CLIP_LAYERS)
        raise BadRequest(said, field="CLIP_stop_at_last_layers", hint="1 leaves none out.")
    return int(value)


def _format(value: Any) -> str:
    if str(value).lower() not in FORMATS:
        said = Said("samples_format may be png, jpg or webp.", "sdapi.samples_format")
        raise BadRequest(said, field="samples_format", hint="Leave it out for png.")
    return FORMATS[str(value).lower()]
