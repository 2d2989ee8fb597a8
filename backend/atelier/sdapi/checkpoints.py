"""What A1111 calls a model: a checkpoint with a title `name [hash]`, and the many ways in which clients name one.

The hash is the one that infotexts carry: SHA-256 over the denoiser's weight files. Large ones are not read for it; one
that the hub's cache keeps under its own hash tells it by its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from atelier.access.actor import Actor
from atelier.errors import ModelNotFound
from atelier.models.registry import ModelRegistry
from atelier.said import Said
from atelier.tables import ModelRow

TASKS = frozenset({"image"})
DENOISERS = ("unet", "transformer")
MOST_TO_READ = 256 * 1024**2
SHORT = 10


@dataclass(frozen=True)
class Checkpoint:
    """A model in A1111's words. `sha256` is None where it is not known."""

    row: ModelRow
    sha256: str | None
    filename: str

    @property
    def name(self) -> str:
        return self.row.key

    @property
    def hash(self) -> str | None:
        return self.sha256[:SHORT] if self.sha256 else None

    @property
    def title(self) -> str:
        return f"{self.name} [{self.hash}]" if self.hash else self.name

    def is_called(self, name: str) -> bool:
        """By its title, key, file name, repository or hash; A1111 does not mind the case or a suffix."""
        asked = name.strip().casefold()
        words = {self.title, self.name, self.row.name, self.row.repo or "", self.filename, Path(self.filename).name}
        known = {word.casefold() for word in words}
        plain = re.sub(r"\s*\[[0-9a-f]{6,64}\]$", "", asked)
        for suffix in (".safetensors", ".ckpt"):
            plain = plain.removesuffix(suffix)
        if not asked or plain in known or asked in known:
            return bool(asked)
        return bool(self.sha256) and len(asked) >= SHORT and self.sha256.startswith(asked)


class Checkpoints:
    """Lists and finds them; remembers hashes for as long as the files are the same."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._hashes: dict[tuple[str, int, int], str] = {}

    async def all(self, actor: Actor) -> list[Checkpoint]:
        rows = await self._registry.usable(actor, TASKS)
        return await asyncio.to_thread(lambda: [self._checkpoint(row) for row in rows])

    async def find(self, actor: Actor, name: str) -> Checkpoint:
        """The checkpoint that a client means. Raises ModelNotFound."""
        there = await self.all(actor)
        for checkpoint in there:
            if checkpoint.is_called(name):
                return checkpoint
        known = ", ".join(one.title for one in there) or "none"
        words = Said(f"There is no model {name[:80]!r}.", "model.none_such", model=name[:80], known=known)
        raise ModelNotFound(words, field="sd_model_checkpoint", hint=f"These exist: {known}.")

    def _checkpoint(self, row: ModelRow) -> Checkpoint:
        path = self._registry.path_of(row)
        return Checkpoint(row, self._hash(path), str(path))

    def _hash(self, path: Path) -> str | None:
        """Blocking."""
        folders = (sorted((path / name).glob("*.safetensors")) for name in DENOISERS)
        files = [path] if path.is_file() else next(filter(None, folders), [])
        if not files:
            return None
        blob = files[0].resolve().name
        if len(files) == 1 and re.fullmatch(r"[0-9a-f]{64}", blob):
            return blob
        states = [file.stat() for file in files]
        size = sum(state.st_size for state in states)
        if size > MOST_TO_READ:
            return None
        mark = (str(path), size, max(state.st_mtime_ns for state in states))
        if mark not in self._hashes:
            digest = hashlib.sha256()
            for file in files:
                digest.update(file.read_bytes())
            self._hashes[mark] = digest.hexdigest()
        return self._hashes[mark]
