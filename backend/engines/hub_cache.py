"""One repository in the Hugging Face cache, as it is written: blobs by hash, snapshots of links, refs.

    <cache>/models--<owner>--<name>/blobs/<digest>                    a complete, checked file
                                         /<digest>.atelier-part       what is being fetched, at full length
                                         /<digest>.atelier-journal    which chunks of it are there
                                   /snapshots/<commit>/<path>         a link into blobs
                                   /refs/<revision>                   a commit

Other programs read and write the same cache. They take up any `<digest>.incomplete` by its length, which says nothing
about a file that is fetched in several places at once: hence names of our own for those.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

PART, JOURNAL = ".atelier-part", ".atelier-journal"
READ_BYTES = 1 << 20


class RepoFolder:
    """Owns the paths of one repository. Names that reach it have been checked by `hub_files`."""

    def __init__(self, cache: Path, repo: str) -> None:
        owner, _, name = repo.partition("/")
        self.root = cache / f"models--{owner}--{name}"
        self.blobs = self.root / "blobs"

    def make(self) -> None:
        self.blobs.mkdir(parents=True, exist_ok=True)

    def blob(self, digest: str) -> Path:
        return self.blobs / digest

    def part(self, digest: str) -> Path:
        return self.blobs / f"{digest}{PART}"

    def journal(self, digest: str) -> Path:
        return self.blobs / f"{digest}{JOURNAL}"

    def snapshot(self, commit: str) -> Path:
        return self.root / "snapshots" / commit

    def forget_part(self, digest: str) -> None:
        for path in (self.part(digest), self.journal(digest)):
            path.unlink(missing_ok=True)

    def put_in_place(self, digest: str) -> None:
        """A fetched and checked file becomes a blob; durable when this returns."""
        os.replace(self.part(digest), self.blob(digest))
        self.journal(digest).unlink(missing_ok=True)
        _sync_folder(self.blobs)

    def publish(self, commit: str, revision: str, files: Iterable[tuple[str, str]]) -> Path:
        """Make the snapshot from (path, digest) pairs: beside its place and then renamed, unless another program began
        it already; then what is missing is added."""
        final = self.snapshot(commit)
        folder = final if final.is_dir() else final.with_name(f"{commit}.atelier-{os.getpid()}")
        for path, digest in files:
            link = folder / path
            link.parent.mkdir(parents=True, exist_ok=True)
            up = "../" * (len(Path(path).parts) + 1)
            with contextlib.suppress(FileNotFoundError):
                link.unlink()
            link.symlink_to(f"{up}blobs/{digest}")
        if folder != final:
            os.rename(folder, final)
        _sync_folder(final.parent)
        if revision != commit:
            reference = self.root / "refs" / revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit)
        return final

    def linked(self) -> set[str]:
        """Digests that some snapshot needs."""
        links = (path for path in self.root.glob("snapshots/**/*") if path.is_symlink())
        return {Path(os.readlink(path)).name for path in links}

    def drop_unlinked(self, digests: Iterable[str]) -> None:
        """Remove these blobs and parts unless a snapshot needs them, and the folder when nothing is left in it."""
        kept = self.linked()
        for digest in set(digests) - kept:
            self.forget_part(digest)
            self.blob(digest).unlink(missing_ok=True)
        if self.root.is_dir() and not any(path.is_file() for path in self.root.rglob("*")):
            shutil.rmtree(self.root, ignore_errors=True)

    def present_bytes(self, digest: str, size: int) -> int:
        """Bytes of a file that need not be fetched again, at a glance: hashes are looked at by the download."""
        blob = self.blob(digest)
        if blob.is_file() and blob.stat().st_size == size:
            return size
        return min(size, journalled_bytes(self.journal(digest), size)) if self.part(digest).is_file() else 0


def journalled_bytes(journal: Path, size: int) -> int:
    """What a journal (see `hub_ranges.Journal`) says is there."""
    try:
        head, *lines = journal.read_text().splitlines()
    except (OSError, ValueError):
        return 0
    words = head.split()
    if len(words) < 3 or words[0] != "atelier-1" or words[1] != str(size) or not words[2].isdigit():
        return 0
    return len({line for line in lines if line.isdigit()}) * int(words[2])


def hasher(digest: str, size: int) -> hashlib._Hash:
    """What computes such a digest: sha256 of the content, or git's sha1 of a blob."""
    if len(digest) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def matches(path: Path, digest: str, size: int, looked: Callable[[int], None]) -> bool:
    """Whether a file has this hash. `looked` hears of every piece and may raise."""
    if path.stat().st_size != size:
        return False
    sum_, buffer = hasher(digest, size), bytearray(READ_BYTES)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            sum_.update(memoryview(buffer)[:count])
            looked(count)
    return sum_.hexdigest() == digest


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
