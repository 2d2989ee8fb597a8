"""One creature per call: its rarity is drawn, then its picture, then its name."""

from __future__ import annotations

import base64
import secrets
import string
from random import Random, SystemRandom

import structlog

from atelier.access.actor import Actor
from atelier.clock import now
from atelier.config import CreatureSettings, LogSettings, ServerSettings
from atelier.creatures.limit import MinuteLimit
from atelier.creatures.name_cache import NameCache
from atelier.creatures.names import Names
from atelier.creatures.own_chat import MODEL, OwnChat, Serving, is_ourselves
from atelier.creatures.pictures import FolderPictures, Gone, MadePictures, Picture
from atelier.creatures.rarity import WEIGHTS, Rarity, draw_rarity
from atelier.creatures.remote_names import OtherServer, RemoteNames
from atelier.creatures.schemas import CreatureMetadata, CreatureOut, CreatureSettingsOut
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
        server: ServerSettings,
        registry: ModelRegistry,
        images: ImageService,
        gallery: Gallery,
        chat: Serving,
        random: Random | None = None,
    ) -> None:
        self._settings, self._logging = settings, logging
        self._random = random or SystemRandom()
        self._files = FolderPictures(settings, self._random)
        self._made = MadePictures(settings, self._random, registry, images, gallery)
        remote = _remote(settings, server, chat, logging.remote_content)
        self._names, self._names_from = Names(remote, NameCache(settings.redis_url)), remote and remote.source
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
            names_from=self._names_from,
            rate_per_minute=one.rate_per_minute,
        )
        if one.name_backend == "remote" and self._names_from is None:
            log.warning("remote_name.not_configured", needs="OPENAI_MODEL", instead="local")

    async def close(self) -> None:
        await self._names.close()

    def settings_out(self) -> CreatureSettingsOut:
        one = self._settings
        return CreatureSettingsOut(
            backend=one.backend,
            pictures=max(0, one.max_index - one.min_index + 1),
            model=one.model,
            steps=one.steps,
            width=one.width,
            height=one.height,
            names="remote" if self._names_from else "local",
            rate_per_minute=one.rate_per_minute,
            weights=WEIGHTS,
        )

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


def _remote(settings: CreatureSettings, server: ServerSettings, chat: Serving, log_content: bool) -> RemoteNames | None:
    """Who gives names: another server, our own chat where none is named or it is ourselves, or nobody else."""
    address, model = settings.openai_base_url, settings.openai_model
    if settings.name_backend != "remote":
        return None
    if not address or is_ourselves(address, server):
        return RemoteNames(OwnChat(chat), model or MODEL, settings.openai_timeout, log_content)
    if not model:
        return None
    return RemoteNames(OtherServer(address, settings.openai_api_key), model, settings.openai_timeout, log_content)
