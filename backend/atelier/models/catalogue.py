"""The starter catalogue: models that are known to work well, by the keys that clients use. Data: `catalogue.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atelier.models.hub_schemas import CatalogueItemOut, CatalogueOut
from atelier.models.sizing import Told
from atelier.tables import ModelRow

DATA = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Entry:
    """Sizes are approximate bytes; `engine` is "" until there is one; what the others are, the data says of
    itself."""

    key: str
    name: str
    repo: str
    task: str
    engine: str
    family: str
    license: str
    size_bytes: int
    bytes_needed: int
    description: str
    gated: bool = False
    revision: str = "main"
    parameters: int = 0
    linear: int = 0
    denoiser: int = 0
    other_part: int = 0
    configs: dict[str, Any] = field(default_factory=dict)
    distilled: str = ""


SHOWN = ("key", "name", "repo", "revision", "task", "family", "license", "gated", "size_bytes", "description")


class Catalogue:
    def __init__(self, data: Path = DATA) -> None:
        self._entries = {item["key"]: Entry(**item) for item in json.loads(data.read_bytes())["models"]}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def present(
        self, rows: list[ModelRow], page_url: Callable[[str], str], told: Callable[[Entry], Told]
    ) -> CatalogueOut:
        """All entries, each with whether it is here: by its key or by its repository. `page_url`: of a repository;
        `told`: what an entry would take of a device here."""
        keys, repos = {row.key: row for row in rows}, {row.repo: row for row in rows if row.repo}
        items = []
        for entry in self._entries.values():
            row = keys.get(entry.key) or repos.get(entry.repo)
            state = "absent" if row is None else "downloading" if row.download_job else "present"
            values = {name: getattr(entry, name) for name in SHOWN}
            needed = told(entry)
            values |= {"engine": entry.engine or None, "bytes_needed": needed.bytes, "helped": needed.helped}
            items.append(CatalogueItemOut(**values, page_url=page_url(entry.repo), state=state))
        return CatalogueOut(items=items)
