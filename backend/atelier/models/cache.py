"""The Hugging Face cache: what earlier programs have downloaded already.

    <cache>/models--<owner>--<name>/refs/<branch>             a commit
                                   /snapshots/<commit>/…      links into ../../blobs

(https://huggingface.co/docs/huggingface_hub/guides/manage-cache). `engines.hub_cache` writes it; here it is read, and
what was downloaded is let go again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
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


# ── letting go ────────────────────────────────────────────────────────────────

PARTS = (".atelier-part", ".atelier-journal")


@dataclass(frozen=True)
class Removal:
    """What goes with a model: its snapshot, or one file of it where others are models of their own, the blobs that
    nothing else needs, and what was left half-fetched."""

    path: Path
    repository: Path
    files: tuple[Path, ...]

    @property
    def bytes_freed(self) -> int:
        return sum(_size(path) for path in self.files)


def removal(cache: Path, snapshot: Path, file: Path | None = None) -> Removal | None:
    """What deleting this snapshot removes, or the model that is one `file` of it; None for a folder that does not lie
    in `cache` as a snapshot. Blocking.

    Blobs without any link go only when they were fetched for this model, that is while it is not there yet: a complete
    one names its own, and another program may be about to link the others."""
    repository = snapshot.parent.parent
    if snapshot_at(snapshot) is None or repository.parent.resolve() != cache.resolve():
        return None
    has_others = file is not None and any(path != file for path in snapshot.glob("*.safetensors"))
    path = file if file is not None and has_others else snapshot
    links = {link for link in repository.glob("snapshots/**/*") if link.is_symlink()}
    own = {link for link in links if path in (link, *link.parents)}
    needed, own = _names(links - own), _names(own)
    blobs = [path for path in repository.glob("blobs/*") if path.is_file()]
    half = [path for path in blobs if path.name.endswith(PARTS)]
    if not path.is_dir() and not path.is_symlink():
        own = {path.name for path in blobs if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", path.name)}
    files = [*half, *(path for path in blobs if path.name in own - needed)]
    return Removal(path, repository, tuple(files))


def remove(what: Removal) -> int:
    """Do it; the bytes freed. Blocking."""
    freed = what.bytes_freed
    if what.path.is_symlink():
        what.path.unlink()
    else:
        shutil.rmtree(what.path, ignore_errors=True)
    for path in what.files:
        path.unlink(missing_ok=True)
    for reference in [path for path in what.repository.glob("refs/**/*") if path.is_file()]:
        if _commit_of(reference) == what.path.name:
            reference.unlink(missing_ok=True)
    if what.repository.is_dir() and not any(path.is_file() or path.is_symlink() for path in what.repository.rglob("*")):
        shutil.rmtree(what.repository, ignore_errors=True)
    return freed


def _names(links: Iterable[Path]) -> set[str]:
    """Of the blobs that they lead to."""
    return {Path(os.readlink(link)).name for link in links}


def _size(path: Path) -> int:
    """What it takes on the disk: a half-fetched file is as long as the whole, but not all of it is there."""
    try:
        return path.stat().st_blocks * 512 if path.name.endswith(PARTS) else path.stat().st_size
    except OSError:
        return 0
