"""The Hugging Face cache: what earlier programs have downloaded already.

    <cache>/models--<owner>--<name>/refs/<branch>             a commit
                                   /snapshots/<commit>/…      links into ../../blobs

(https://huggingface.co/docs/huggingface_hub/guides/manage-cache). Only read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = re.compile(r"models--([\w.-]{1,96})--([\w.-]{1,96})")


@dataclass(frozen=True)
class Snapshot:
    """One commit of one repository, as far as it was downloaded."""

    path: Path
    repo: str
    commit: str


def snapshot_at(path: Path) -> Snapshot | None:
    """What repository and commit a folder is, by its place in a cache; None for any other folder."""
    if not _COMMIT.fullmatch(path.name) or path.parent.name != "snapshots":
        return None
    found = _FOLDER.fullmatch(path.parent.parent.name)
    return Snapshot(path, f"{found[1]}/{found[2]}", path.name) if found else None


def snapshots(cache: Path) -> Iterator[Snapshot]:
    """The newest commit of every repository in a cache: the one that `main` names, else the one made last. Blocking."""
    for repository in sorted(cache.glob("models--*")):
        named = _commit_of(repository / "refs" / "main")
        folders = [path for path in repository.glob("snapshots/*") if path.is_dir() and snapshot_at(path)]
        if folders:
            chosen = max(folders, key=lambda path: (path.name == named, path.stat().st_mtime))
            if found := snapshot_at(chosen):
                yield found


def _commit_of(reference: Path) -> str:
    try:
        return reference.read_text().strip()[:40]
    except OSError:
        return ""
