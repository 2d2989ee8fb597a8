"""One file on its way: which chunks of it are there, kept in a journal that survives `kill -9`.

The part file has its full length from the start; chunks are written where they belong, in any order. After a chunk is
written its number is appended to the journal with one `write`: a process that is killed loses at most the chunks it was
in the middle of. A power failure may leave a number without its data: the hash of the whole file is looked at before
the file is used, so that costs time, not truth.

    atelier-1 <size> <chunk bytes>
    etag <what the data's host calls this content>
    <number>
    …
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import deque
from pathlib import Path

from engines.engine import RunFailed
from engines.hub_cache import RepoFolder
from engines.hub_files import RepoFile

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LOCK_SECONDS = 10.0
RESTARTS = 5


def disk_failure(error: OSError) -> RunFailed:
    if error.errno in DISK_FULL:
        return RunFailed(
            "insufficient_storage",
            "The disk of the model cache is full. What was fetched so far is kept.",
            "Free some space, then go on with the download.",
            sentence="hub_disk_full",
        )
    return RunFailed(
        "cache_not_writable",
        f"The model cache cannot be written ({error.strerror or 'unknown reason'}).",
        "Look at the rights and the disk of MODEL_CACHE_DIR, then go on with the download.",
        reason=str(error.strerror or "unknown reason"),
    )


class Part:
    """A blob that is being fetched. Everything but `write` is called under the lock of `hub_fetch.Fetch`."""

    def __init__(self, folder: RepoFolder, file: RepoFile, chunk_bytes: int) -> None:
        self.file, self._folder = file, folder
        self.chunk = chunk_bytes
        self.done: set[int] = set()
        self.within: dict[int, int] = {}  # bytes of chunks that are under way
        self.pending: deque[int] = deque()
        self.location: str | None = None
        self.etag: str | None = None
        self.is_whole = False  # one connection reads all of it, from the first byte
        self.is_finished = False
        self.is_present = False  # a complete blob lies there, and is to be checked
        self.generation = 0  # a thread that began under another one writes to a file that nobody reads any more
        self.restarts = 0
        self.ignored_ranges = 0
        self.fd = -1
        self._journal = -1
        self._left: list[int] = []

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def count(self) -> int:
        return -(-self.size // self.chunk)

    @property
    def is_open(self) -> bool:
        return self.fd >= 0

    @property
    def is_complete(self) -> bool:
        return len(self.done) == self.count

    @property
    def done_bytes(self) -> int:
        if self.is_finished or self.is_present:
            return self.size
        return sum(self.length(index) for index in self.done) + sum(self.within.values())

    @property
    def state(self) -> str:
        if self.is_finished:
            return "done"
        if self.is_present or (self.is_open and self.is_complete):
            return "checking"
        return "fetching" if self.is_open else "waiting"

    def length(self, index: int) -> int:
        return min(self.chunk, self.size - index * self.chunk)

    def frontier(self) -> int:
        """Bytes that are there without a gap, from the start."""
        index = 0
        while index in self.done:
            index += 1
        return min(self.size, index * self.chunk)

    def open(self, reserve_bytes: int) -> None:
        """Take up what an earlier run left, or begin. Raises RunFailed when the disk has no room for it."""
        digest = self.file.digest
        try:
            self._journal = os.open(
                self._folder.journal(digest), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            self._lock()
            self.fd = os.open(self._folder.part(digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not self._read_journal():
                self._begin()
            self._check_room(reserve_bytes)
            if self.size and os.fstat(self.fd).st_size != self.size:
                os.ftruncate(self.fd, 0)
            if self.size:
                os.posix_fallocate(self.fd, 0, self.size)
        except OSError as error:
            raise disk_failure(error) from error
        self.pending = deque(index for index in range(self.count) if index not in self.done)

    def write(self, fd: int, data: memoryview, offset: int) -> None:
        """From any thread, to the `fd` of the generation that it began under: a chunk has one writer in each."""
        try:
            while data:
                count = os.pwrite(fd, data, offset)
                data, offset = data[count:], offset + count
        except OSError as error:
            raise disk_failure(error) from error

    def finish_chunk(self, index: int) -> None:
        self.within.pop(index, None)
        if index not in self.done:
            self.done.add(index)
            self._note(f"{index}\n")

    def remember_etag(self, etag: str) -> None:
        self.etag = etag
        self._note(f"etag {etag}\n")

    def restart(self, why: RunFailed) -> None:
        """Forget what was fetched of this file. Raises `why` when that has happened too often."""
        self.restarts += 1
        if self.restarts > RESTARTS:
            raise why
        self.etag, self.location = None, None
        self.is_whole = self.is_present = False
        self._begin_anew()

    def begin_whole(self) -> None:
        """The host sends only whole files: one connection takes all of it, and what is there is thrown away."""
        self._begin_anew()
        self.is_whole = True
        self.pending.clear()

    def go_on_after_whole(self) -> None:
        """That connection ended early: the chunks that it did not finish are asked for again."""
        self.is_whole = False
        self.within.clear()
        self.pending = deque(index for index in range(self.count) if index not in self.done)

    def sync(self) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            raise disk_failure(error) from error

    def close(self) -> None:
        for handle in (self.fd, self._journal, *self._left):
            if handle >= 0:
                os.close(handle)
        self.fd = self._journal = -1
        self._left.clear()

    # inside

    def _lock(self) -> None:
        """Only one program fetches a file: the lock ends with the process that holds it, however that ends."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RunFailed(
                        "already_fetched",
                        f"Another program is fetching {self.file.path} into the same cache.",
                        "Wait for it, then go on with this download.",
                        file=self.file.path,
                    ) from None
                time.sleep(0.05)

    def _begin_anew(self) -> None:
        """A new file under the same name. The old one stays open: a thread may be about to write to it."""
        self.generation += 1
        self.within.clear()
        self.pending = deque(range(self.count))
        if not self.is_open:
            return
        try:
            self._left.append(self.fd)
            path = self._folder.part(self.file.digest)
            path.unlink(missing_ok=True)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._begin()
            os.ftruncate(self._left[-1], 0)
            os.posix_fallocate(self.fd, 0, self.size)
        except OSError as error:
            raise disk_failure(error) from error

    def _begin(self) -> None:
        self.done.clear()
        os.ftruncate(self._journal, 0)
        self._note(f"atelier-1 {self.size} {self.chunk}\n")

    def _read_journal(self) -> bool:
        """Whether there was one for this very file; its chunk size is kept."""
        if os.fstat(self.fd).st_size != self.size:
            return False
        head, *lines = os.pread(self._journal, 1 << 24, 0).decode("ascii", "replace").split("\n")
        words = head.split()
        if len(words) != 3 or words[:2] != ["atelier-1", str(self.size)] or not words[2].isdigit() or words[2] == "0":
            return False
        self.chunk = int(words[2])
        for line in lines[:-1]:  # what follows the last line's end was cut short
            if line.isdigit() and int(line) < self.count:
                self.done.add(int(line))
            elif line.startswith("etag "):
                self.etag = line[5:]
        if lines and lines[-1]:
            self._note("\n")
        return True

    def _note(self, line: str) -> None:
        try:
            os.write(self._journal, line.encode("ascii", "replace"))
        except OSError as error:
            raise disk_failure(error) from error

    def _check_room(self, reserve_bytes: int) -> None:
        disk = os.fstatvfs(self.fd)
        needed = max(0, self.size - os.fstat(self.fd).st_blocks * 512)
        if needed and disk.f_bavail * disk.f_frsize - needed < reserve_bytes:
            raise OSError(errno.ENOSPC, "no room")


def room_for(folder: Path, needed: int, reserve_bytes: int) -> bool:
    """Whether `needed` more bytes fit on the disk of `folder` and leave the reserve."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize - needed >= reserve_bytes
