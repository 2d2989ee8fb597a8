"""One creature per call: its rarity is drawn, then its picture, then its name."""

from __future__ import annotations

import base64
import secrets
import string
from random import Random, SystemRandom

import structlog

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.config import CreatureSettings, LogSettings
from atelier.creatures.limit import MinuteLimit
from atelier.creatures.name_cache import NameCache
from atelier.creatures.names import Names
from atelier.creatures.pictures import FolderPictures, Gone, MadePictures, Picture
from atelier.creatures.rarity import Rarity, draw_rarity
from atelier.creatures.remote_names import RemoteNames
from atelier.creatures.schemas import CreatureMetadata, CreatureOut
from atelier.errors import AtelierError
from atelier.images.gallery import Gallery
from atelier.images.service import ImageService
from atelier.models.registry import ModelRegistry

log = structlog.get_logger("atelier.creatures")

ID_SIGNS = string.ascii_uppercase + string.digits


class CreatureService:
    """Puts a creature together. `random` is given by tests, to know what comes."""

    def __init__(
        self,
        settings: CreatureSettings,
        logging: LogSettings,
        registry: ModelRegistry,
        images: ImageService,
        gallery: Gallery,
        random: Random | None = None,
    ) -> None:
        self._settings, self._logging = settings, logging
        self._random = random or SystemRandom()
        self._files = FolderPictures(settings, self._random)
        self._made = MadePictures(settings, self._random, registry, images, gallery)
        asks = settings.name_backend == "remote" and bool(settings.openai_base_url and settings.openai_model)
        remote = RemoteNames(settings, logging.remote_content) if asks else None
        self._names = Names(remote, NameCache(settings.redis_url))
        self.logs_bodies = logging.request_body
        self.limit = MinuteLimit(settings.rate_per_minute)

    async def start(self) -> None:
        one = self._settings
        log.info(
            "startup.config",
            backend=one.backend,
            images_dir=str(one.images_dir),
            model=one.model,
            names=one.name_backend,
            names_from=one.openai_base_url or None,
            rate_per_minute=one.rate_per_minute,
        )
        if one.name_backend == "remote" and not (one.openai_base_url and one.openai_model):
            log.warning("remote_name.not_configured", needs="OPENAI_BASE_URL and OPENAI_MODEL", instead="local")

    async def close(self) -> None:
        await self._names.close()

    async def generate(self, actor: Actor, prompt: str | None, gone: Gone) -> CreatureOut:
        """A new creature. Raises NoPicture when there is no picture of any."""
        rarity = draw_rarity(self._random)
        creature_id = "pkm_" + "".join(secrets.choice(ID_SIGNS) for _ in range(12))
        picture = await self._picture(actor, rarity, prompt, gone)
        name = await self._names.name_for(picture.looks, rarity, creature_id)
        encoded = base64.b64encode(picture.png).decode()
        log.info("generate.success", id=creature_id, name=name, rarity=rarity, **self._shown(picture.png, encoded))
        return CreatureOut(
            imageBase64=encoded,
            metadata=CreatureMetadata(id=creature_id, name=name, rarity=rarity),
            generatedAt=now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    async def _picture(self, actor: Actor, rarity: Rarity, prompt: str | None, gone: Gone) -> Picture:
        if self._settings.backend == "sdxl":
            try:
                return await self._made.draw(actor, rarity, prompt, gone)
            except AtelierError as error:
                log.warning("sdxl.fallback", code=error.code, reason=error.message, hint=error.hint, instead="files")
        return await self._files.draw()

    def _shown(self, png: bytes, encoded: str) -> dict[str, str | int]:
        """What of the picture the log shows: its size, and more where the settings ask for it."""
        shown: dict[str, str | int] = {"bytes": len(png)}
        if sample := self._logging.sample_image_bytes:
            shown["sample"] = png[:sample].hex()
        if self._logging.image_b64:
            shown["image_b64"] = encoded
        return shown
