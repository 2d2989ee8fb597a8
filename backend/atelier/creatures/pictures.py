"""What a creature looks like: one of the pictures of a folder, or a picture made for it.

The folder's pictures are shown as they are; made ones are jobs like any other, and land in the gallery.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import structlog

from atelier.access.actor import Actor
from atelier.config import CreatureSettings
from atelier.creatures.rarity import Rarity
from atelier.errors import AtelierError, ModelNotFound
from atelier.images.gallery import Gallery
from atelier.images.schemas import TextToImageIn
from atelier.images.service import ImageService
from atelier.models.registry import ModelRegistry
from atelier.models.schemas import ImageDefaults, ImageLimits
from atelier.said import Said
from atelier.tables import ModelRow

log = structlog.get_logger("atelier.creatures")

PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 32 * 1024**2

Gone = Callable[[], Awaitable[bool]]

_SPECIES = ("dragon", "slime", "bird", "cat", "fish", "golem", "ghost", "octopus")
_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
_GROUNDS = ("blue", "green", "grey", "black", "yellow", "pink")
# What shows that one is rare: the rarer, the more of it.
_FINERY = ("wings", "horns", "a halo")
_SHOWS: dict[Rarity, int] = {"F": 0, "E": 0, "D": 0, "C": 1, "B": 1, "A": 2, "S": 2, "S+": 3}


class NoPicture(AtelierError):
    """Neither backend has a picture."""

    code = "creature_failed"


@dataclass(frozen=True)
class Picture:
    """A PNG, and words for what is on it."""

    png: bytes
    looks: str


class FolderPictures:
    """The backend `files`: a picture of the folder, any of those whose index is in the range."""

    def __init__(self, settings: CreatureSettings, random: Random) -> None:
        self._settings, self._random = settings, random

    async def draw(self) -> Picture:
        return await asyncio.to_thread(self._draw)

    def _draw(self) -> Picture:
        """Blocking. Raises NoPicture when none of the files is a PNG."""
        one = self._settings
        indices = list(range(one.min_index, one.max_index + 1))
        self._random.shuffle(indices)
        for index in indices:
            name = one.image_pattern.format(index)
            if (content := self._read(one.images_dir / name)) is not None:
                return Picture(content, f"picture {index} of the collection")
        log.error("generate.no_files", folder=str(one.images_dir), pattern=one.image_pattern)
        raise NoPicture("There is no creature to show.", hint="POKEMON_IMAGES_DIR holds none; the log says where.")

    def _read(self, path: Path) -> bytes | None:
        """The file, when it is a PNG that lies in the folder itself."""
        try:
            if path.resolve().parent != self._settings.images_dir.resolve():
                return None
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError:
            return None
        return content if content.startswith(PNG) and len(content) <= MAX_BYTES else None


class MadePictures:
    """The backend `sdxl`: the image trip of this product, with the model that the settings name."""

    def __init__(
        self,
        settings: CreatureSettings,
        random: Random,
        registry: ModelRegistry,
        images: ImageService,
        gallery: Gallery,
    ) -> None:
        self._settings, self._random, self._registry = settings, random, registry
        self._images, self._gallery = images, gallery
        self._warm = False

    async def draw(self, actor: Actor, rarity: Rarity, prompt: str | None, gone: Gone) -> Picture:
        """Raises AtelierError for whatever goes wrong; the caller has another backend."""
        model = await self._model(actor)
        looks = prompt or self._looks(rarity)
        width, height = self._size(model)
        wanted = TextToImageIn(prompt=looks, model=model.key, steps=self._settings.steps, width=width, height=height)
        begun = time.monotonic()
        if not self._warm:
            log.info("sdxl.warmup", model=model.key, width=width, height=height, steps=self._settings.steps)
        accepted = await self._images.ask(actor, wanted, None)
        done = await self._images.finish(actor, accepted.job_id, gone)
        path, _image = await self._gallery.file(actor, done.images[0].id, thumbnail=False)
        png = await asyncio.to_thread(path.read_bytes)
        took = round((time.monotonic() - begun) * 1000)
        log.info("sdxl.ready" if not self._warm else "sdxl.generated", model=model.key, job=accepted.job_id, ms=took)
        self._warm = True
        return Picture(png, looks)

    async def _model(self, actor: Actor) -> ModelRow:
        """By its key or by its repository. Raises ModelNotFound."""
        name = self._settings.model
        for row in await self._registry.rows(actor):
            if name in {row.key, row.repo} and row.task == "image":
                return await self._registry.require(actor, row.key, "image")
        words = Said(f"The model {name!r} is not installed.", "creatures.model_missing", model=name)
        raise ModelNotFound(words, hint="Download it on the Models page, or name another in SDXL_TURBO_MODEL.")

    def _size(self, model: ModelRow) -> tuple[int, int]:
        """As the settings say; where they say nothing, 512 or, if the model cannot do that, its own size."""
        limits, own = ImageLimits(**model.limits), ImageDefaults(**model.defaults)
        fits = limits.min_side <= 512 <= limits.max_side and 512 % limits.multiple == 0
        width, height = (512, 512) if fits else (own.width, own.height)
        return self._settings.width or width, self._settings.height or height

    def _looks(self, rarity: Rarity) -> str:
        """A description in the words that the embedded model knows too."""
        random = self._random
        finery = random.sample(_FINERY, _SHOWS[rarity])
        wears = f" with {' and '.join(finery)}" if finery else ""
        return f"a {random.choice(_COLOURS)} {random.choice(_SPECIES)}{wears} on a {random.choice(_GROUNDS)} background"
