"""Where every file lies. Paths are computed here and nowhere else; names come from the server, never from a user.

DATA_DIR/
  atelier.db            the database
  instance              one UUID: processes of this data folder carry it
  lock                  held by the one server that may use the folder
  images/<job>/         published pictures: <index>.<format> and <index>.thumb.webp
  inputs/               uploaded pictures: <id>.png, and <id>.part while one comes in
  files/                files of /v1/files: <id>, and <id>.part while one comes in
  batches/              <batch>.journal: the answers that a batch has so far
  staging/<job>/<n>/    what attempt n of a job is writing; emptied when the attempt ends
  logs/                 workers' output
  sdapi-options.json    what users of /sdapi chose
  secrets/              0700; the hub's token, what sign-in tokens are signed with
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from atelier.config import BadSetting
from atelier.errors import AtelierError

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9]{1,8}){0,2}")


class UnsafePath(AtelierError):
    status = 400
    code = "unsafe_path"


def safe_join(root: Path, *parts: str) -> Path:
    """`root` with `parts` below it. Raises UnsafePath for a part that is not a plain server-made name, and for a
    result that a symbolic link leads out of `root`."""
    for part in parts:
        if not _SAFE_NAME.fullmatch(part):
            raise UnsafePath("A file name holds characters that are not allowed.")
    path = root.joinpath(*parts)
    if not path.resolve().is_relative_to(root.resolve()):
        raise UnsafePath("A file lies outside its folder.")
    return path


class Storage:
    """The data folder of one server. `open()` takes its lock; a second server on the same folder is refused."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir
        self.images = data_dir / "images"
        self.inputs = data_dir / "inputs"
        self.files = data_dir / "files"
        self.batches = data_dir / "batches"
        self.staging = data_dir / "staging"
        self.logs = data_dir / "logs"
        self.secrets = data_dir / "secrets"
        self.database = data_dir / "atelier.db"
        self.sdapi_options = data_dir / "sdapi-options.json"
        self._lock = FileLock(data_dir / "lock")
        self.instance = ""

    def open(self) -> None:
        try:
            inside = (self.images, self.inputs, self.files, self.batches, self.staging, self.logs)
            for folder in (self.root, *inside):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock.acquire(timeout=5)
        except Timeout:
            raise BadSetting(
                f"Another Atelier already uses {self.root}. Stop it, or give this one its own folder with DATA_DIR."
            ) from None
        except OSError as error:
            raise BadSetting(
                f"The data folder {self.root} cannot be used ({error.strerror}). "
                "Set DATA_DIR to a folder that this user may write."
            ) from error
        self.instance = self._read_instance()

    def close(self) -> None:
        self._lock.release()

    def _read_instance(self) -> str:
        path = self.root / "instance"
        if path.exists() and (text := path.read_text().strip()):
            return text
        text = uuid.uuid4().hex
        path.write_text(text)
        return text

    def job_images(self, job_id: str) -> Path:
        return safe_join(self.images, job_id)

    def image_file(self, job_id: str, name: str) -> Path:
        return safe_join(self.images, job_id, name)

    def input_file(self, input_id: str, suffix: str = "png") -> Path:
        return safe_join(self.inputs, f"{input_id}.{suffix}")

    def stored_inputs(self) -> list[Path]:
        return sorted(Path(entry.path) for entry in os.scandir(self.inputs))

    def given_file(self, file_id: str, suffix: str = "") -> Path:
        """A file of /v1/files; with a suffix what becomes one."""
        return safe_join(self.files, f"{file_id}.{suffix}" if suffix else file_id)

    def given_files(self) -> list[Path]:
        return sorted(Path(entry.path) for entry in os.scandir(self.files))

    def batch_journal(self, batch_id: str) -> Path:
        return safe_join(self.batches, f"{batch_id}.journal")

    def batch_journals(self) -> list[Path]:
        return sorted(Path(entry.path) for entry in os.scandir(self.batches))

    def attempt_folder(self, job_id: str, attempt: int) -> Path:
        return safe_join(self.staging, job_id, str(attempt))

    def make_attempt_folder(self, job_id: str, attempt: int) -> Path:
        folder = self.attempt_folder(job_id, attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def drop_staging(self, job_id: str) -> None:
        shutil.rmtree(safe_join(self.staging, job_id), ignore_errors=True)

    def keep_only(self, job_ids: Iterable[str], kept: set[tuple[str, str]]) -> int:
        """Delete the files of these jobs that are not in `kept` as (job, name), and folders that become empty.
        The number of files deleted."""
        dropped = 0
        for job_id in job_ids:
            folder = self.job_images(job_id)
            for entry in list(os.scandir(folder)) if folder.is_dir() else []:
                if (job_id, entry.name) not in kept:
                    os.unlink(entry.path)
                    dropped += 1
            if folder.is_dir() and not any(os.scandir(folder)):
                folder.rmdir()
        return dropped

    def image_jobs(self) -> list[str]:
        """Ids of the jobs that have a folder of published pictures."""
        return sorted(entry.name for entry in os.scandir(self.images) if entry.is_dir())

    def staged_jobs(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.staging) if entry.is_dir())

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free


def fsync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place(source: Path, target: Path) -> None:
    """Give a complete file its name, durably."""
    os.replace(source, target)
    fsync_folder(target.parent)


def drop(*files: Path) -> None:
    """Remove files; those that are gone already are no error."""
    for file in files:
        file.unlink(missing_ok=True)


def is_older(file: Path, than: float) -> bool:
    """Whether it was last changed before `than` (seconds since 1970)."""
    try:
        return file.stat().st_mtime < than
    except FileNotFoundError:  # somebody was quicker
        return False


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only the server's user may read (0600, its folder 0700): whole and on disk, or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def publish(moves: Iterable[tuple[Path, Path]], after_each=lambda: None) -> None:
    """Rename finished files (already fsynced by their writer) to their final places and make that durable.

    Renaming replaces: a second attempt of the same job lands on the same names, so nothing is ever there twice.
    """
    folders = set()
    for source, target in moves:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(source, target)
        # The folder's own entry too: an attempt before this one may have made it and died before it was synced.
        folders.update((target.parent, target.parent.parent))
        after_each()
    for folder in sorted(folders):
        fsync_folder(folder)
