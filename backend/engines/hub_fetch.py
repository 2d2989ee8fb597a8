"""Fetches the files of one download, several ranges at once, and checks each before it is put in place.

`connections` threads take the next chunk of the first file that has one left; one more thread follows behind them and
hashes what is there without a gap, so that a file's hash is known about when its last byte is. The main thread reports
and looks whether it is to stop. Whatever goes wrong on the way is a `Trouble`: the chunk goes back, everybody pauses if
the hub says so, and it is tried again until not a single byte came for `patience` seconds.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from engines.engine import Run, RunCancelled, RunFailed
from engines.hub_cache import RepoFolder, hasher
from engines.hub_door import MAX_REDIRECTS, Door, GivenUp, Line, Trouble, origin, redirected
from engines.hub_files import RepoFile
from engines.hub_parts import Part
from engines.protocol import FileShare, HubDownload, Transfer

BUFFER_BYTES = 1 << 20
REPORT_SECONDS = 0.25
SLOW_BYTES_PER_SECOND = 4096
MAX_PAUSE, MAX_RETRY_AFTER = 30.0, 600.0
SPEED_SECONDS = 5.0
SHARES = 200

CHANGED = RunFailed(
    "file_changed",
    "A file on the hub kept changing, or has another length than the hub says, while it was fetched.",
    "Try again later; if a mirror is configured (HF_ENDPOINT), it may be at fault.",
)


class Changed(Exception):
    """The data's host has other content than what was fetched so far."""


class Fetch:
    """One run of one download. `locate(file)` asks the hub where a file's data lies (raises Trouble or RunFailed);
    `accept(part path, file)` looks at a complete and unharmed file before it is kept (raises RunFailed)."""

    def __init__(
        self,
        task: HubDownload,
        folder: RepoFolder,
        files: Sequence[RepoFile],
        door: Door,
        locate: Callable[[RepoFile], str],
        accept: Callable[[str, RepoFile], None],
    ) -> None:
        self._task, self._folder, self._files, self._door = task, folder, files, door
        self._locate, self._accept = locate, accept
        by_digest = {file.digest: file for file in sorted(files, key=lambda file: file.size, reverse=True)}
        # The small ones first: a config that is refused is known before the weights are fetched.
        self.parts = [Part(folder, file, task.chunk_bytes) for file in sorted(by_digest.values(), key=_order)]
        self._shown = {part.file.digest: part for part in self.parts}
        self._changed = threading.Condition()
        self._locating = {part: threading.Lock() for part in self.parts}
        self._lines: dict[int, dict[tuple[str, str, int], Line]] = {}
        self._stopping = False
        self._failure: BaseException | None = None
        self._trouble: Trouble | None = None
        self._quiet_until = 0.0
        self._heard = time.monotonic()
        self.received = 0
        self._pace: deque[tuple[float, int]] = deque()

    def run(self, run: Run) -> None:
        """To the end. Raises RunFailed, RunCancelled; then no thread of it is left."""
        for part in self.parts:
            blob = self._folder.blob(part.file.digest)
            part.is_present = blob.is_file() and blob.stat().st_size == part.size
        workers = [
            threading.Thread(target=self._guarded, args=(self._work, number), daemon=True)
            for number in range(self._task.connections)
        ]
        workers.append(threading.Thread(target=self._guarded, args=(self._check, -1), daemon=True))
        for worker in workers:
            worker.start()
        try:
            self._watch(run)
        finally:
            self._stop()
            for worker in workers:
                worker.join(10)
            for part in self.parts:
                part.close()

    # ── the main thread ──

    def _watch(self, run: Run) -> None:
        reported = 0.0
        while True:
            with self._changed:
                self._changed.wait(0.05)
                if self._failure is not None:
                    raise self._failure
                if all(part.is_finished for part in self.parts):
                    run.report(self._progress())
                    return
                self._lose_patience()
            if run.cancelled:
                raise RunCancelled
            if time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                with self._changed:
                    progress = self._progress()
                run.report(progress)

    def _lose_patience(self) -> None:
        waits = any(not part.is_finished and not part.is_present and not part.is_complete for part in self.parts)
        limit = max(self._heard, self._quiet_until) + self._task.patience
        if self._trouble is not None and waits and time.monotonic() > limit:
            raise GivenUp(self._trouble)
        if not waits:
            self._heard = time.monotonic()

    def _progress(self) -> Transfer:
        total, done = sum(part.size for part in self.parts), sum(part.done_bytes for part in self.parts)
        speed = self._speed()
        shares = [
            FileShare(path=file.path, bytes=file.size, done_bytes=part.done_bytes, state=part.state)
            for file in self._files[:SHARES]
            if (part := self._shown[file.digest])
        ]
        pausing = self._quiet_until > time.monotonic()
        return Transfer(
            step=-(-done // 1024),
            total=max(1, -(-total // 1024)),
            quiet_seconds=round(self._quiet_until - time.monotonic(), 1) if pausing else None,
            done_bytes=done,
            total_bytes=total,
            bytes_per_second=round(speed),
            seconds_left=round((total - done) / speed, 1) if speed > 0 else None,
            files=shares,
        )

    def _speed(self) -> float:
        """Bytes a second over the last seconds."""
        now = time.monotonic()
        self._pace.append((now, self.received))
        while len(self._pace) > 2 and now - self._pace[0][0] > SPEED_SECONDS:
            self._pace.popleft()
        begun, before = self._pace[0]
        return (self.received - before) / (now - begun) if now > begun else 0.0

    # ── the threads ──

    def _guarded(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # the edge of the thread: the main thread raises it
            with self._changed:
                if self._failure is None and not self._stopping:
                    self._failure = error
                self._changed.notify_all()

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            lines = [line for own in self._lines.values() for line in own.values()]
        for line in lines:
            line.close()

    def _work(self, number: int) -> None:
        self._lines[number] = {}
        buffer = memoryview(bytearray(BUFFER_BYTES))
        failures = 0
        while (chunk := self._next_chunk()) is not None:
            part, index = chunk
            generation = part.generation
            try:
                self._fetch(number, part, index, buffer)
                failures = 0
            except Changed:
                self._hang_up(number)
                with self._changed:
                    if part.generation == generation:
                        part.restart(CHANGED)
            except Trouble as trouble:
                failures += 1
                self._after(number, part, index, generation, trouble, failures)

    def _next_chunk(self) -> tuple[Part, int] | None:
        """The next one to fetch; waits for one to come back; None when there is nothing left to do."""
        with self._changed:
            while not self._stopping:
                pause = self._quiet_until - time.monotonic()
                if pause <= 0:
                    for part in self.parts:
                        if part.is_finished or part.is_present:
                            continue
                        if not part.is_open:
                            part.open(self._task.reserve_bytes)
                            self._changed.notify_all()
                        while part.pending and not part.is_whole:
                            if (index := part.pending.popleft()) not in part.done:
                                return part, index
                    if all(part.is_finished for part in self.parts):
                        return None
                self._changed.wait(min(0.5, pause) if pause > 0 else 0.5)
        return None

    def _after(self, number: int, part: Part, index: int, generation: int, trouble: Trouble, failures: int) -> None:
        self._hang_up(number)
        now = time.monotonic()
        with self._changed:
            if part.generation == generation:
                if index not in part.done and index not in part.pending:
                    part.pending.appendleft(index)
            if self._stopping or trouble.code == "stopped":
                return
            self._trouble = trouble
            if trouble.retry_after is not None:
                self._quiet_until = max(self._quiet_until, now + min(trouble.retry_after, MAX_RETRY_AFTER))
            pause = min(MAX_PAUSE, self._task.pause * 2 ** min(failures - 1, 8)) * random.uniform(0.5, 1.0)
            self._changed.notify_all()
        deadline = now + pause
        with self._changed:
            while not self._stopping and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())

    def _hang_up(self, number: int) -> None:
        for line in self._lines[number].values():
            line.close()
        self._lines[number].clear()

    # ── one chunk ──

    def _fetch(self, number: int, part: Part, index: int, buffer: memoryview) -> None:
        with self._changed:
            generation, fd = part.generation, part.fd
            at = index * part.chunk + part.within.get(index, 0)
        last = index * part.chunk + part.length(index)
        try:
            response = self._ask(number, part, at, last)
            if response.status == 206:
                last = min(last, _range_end(response, at, part))
            elif part.count == 1:
                at = 0
            else:
                self._take_whole(number, part, generation, response, buffer)
                return
            self._read(part, (generation, fd), at, last, response, buffer)
        except TimeoutError as error:
            raise Trouble("stalled", "The connection stood still.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Trouble("connection_lost", "The connection to the hub was lost.") from error

    def _take_whole(
        self, number: int, part: Part, generation: int, response: http.client.HTTPResponse, buffer: memoryview
    ) -> None:
        """The host ignored the range. Twice in a row: then it always does, and this connection takes the whole file."""
        with self._changed:
            part.ignored_ranges += 1
            if part.is_whole or part.generation != generation:
                raise Trouble("stopped", "It was stopped.")
            if part.ignored_ranges < 2:
                raise Trouble("ranges_ignored", "The data's host sends whole files instead of parts.")
            part.begin_whole()
            now = (part.generation, part.fd)
        try:
            self._read(part, now, 0, part.size, response, buffer)
        finally:
            with self._changed:
                if part.generation == now[0]:
                    part.go_on_after_whole()

    def _read(
        self,
        part: Part,
        mine: tuple[int, int],
        at: int,
        last: int,
        response: http.client.HTTPResponse,
        buffer: memoryview,
    ) -> None:
        """From the connection to the disk. Ends chunks as it passes their ends. `mine`: generation and file."""
        generation, fd = mine
        read = response.readinto if response.chunked else response.fp.readinto1
        begun, counted = time.monotonic(), 0
        while at < last:
            index = at // part.chunk
            end = min(last, index * part.chunk + part.length(index))
            count = read(buffer[: min(BUFFER_BYTES, end - at)])
            if not count:
                raise Trouble("connection_cut", "The connection broke off.")
            part.write(fd, buffer[:count], at)
            at += count
            counted += count
            with self._changed:
                if self._stopping or part.generation != generation:
                    raise Trouble("stopped", "It was stopped.")
                self.received += count
                self._heard = time.monotonic()
                if index not in part.done:
                    part.within[index] = at - index * part.chunk
                if at == index * part.chunk + part.length(index):
                    part.finish_chunk(index)
                    self._changed.notify_all()
            spent = self._heard - begun
            if spent > self._task.stall:
                if counted < SLOW_BYTES_PER_SECOND * spent:
                    raise Trouble("slow", "A connection was too slow.")
                begun, counted = self._heard, 0
        response.close()
        if last % part.chunk and last != part.size:  # the host sent less than was asked for
            with self._changed:
                if part.generation == generation:
                    part.pending.appendleft(last // part.chunk)

    def _ask(self, number: int, part: Part, at: int, last: int) -> http.client.HTTPResponse:
        """An open answer with the bytes from `at`: 206, or 200 with all of them. Raises Trouble, Changed, RunFailed."""
        url = self._location(part)
        for _ in range(MAX_REDIRECTS):
            self._door.check(url)
            headers = {"Range": f"bytes={at}-{last - 1}", **self._door.headers_for(url)}
            if part.etag and not part.etag.startswith("W/"):
                headers["If-Range"] = part.etag
            response = self._send(number, url, headers)
            if (further := redirected(url, response)) is None:
                return self._answered(part, url, response)
            response.read()
            url = further
        raise Trouble("redirect_loop", "The hub leads in circles.")

    def _send(self, number: int, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        place, lines = origin(url), self._lines[number]
        for fresh in (False, True):
            line = lines.get(place)
            reused = line is not None
            if line is None or fresh:
                line = self._door.connect(url, self._task.stall)
                with self._changed:
                    if self._stopping:
                        raise Trouble("stopped", "It was stopped.")
                    lines[place] = line
            try:
                return line.get(url, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                line.close()
                del lines[place]
                if not reused:  # an open connection may have been closed meanwhile: that is no trouble
                    raise
        raise AssertionError("not reached")

    def _answered(self, part: Part, url: str, response: http.client.HTTPResponse) -> http.client.HTTPResponse:
        status, etag = response.status, response.headers.get("ETag")
        if status in (200, 206):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Trouble("encoded", "The data's host sends the file compressed.")
            if status == 200 and response.length is not None and response.length != part.size:
                raise Changed
            with self._changed:
                if part.etag and etag and etag != part.etag:
                    raise Changed
                if etag and not part.etag:
                    part.remember_etag(etag)
                if status == 206:
                    part.ignored_ranges = 0
            return response
        if status == 416:
            raise Changed
        with self._changed:
            part.location = None
        wait = response.headers.get("Retry-After", "")
        retry_after = float(wait) if wait.isdigit() else None
        if status == 429:
            raise Trouble("rate_limited", "The hub asks for fewer requests.", retry_after or self._task.pause)
        words = f"{origin(url)[1]} answered {status} for {part.file.path}."
        raise Trouble("hub_error", words, retry_after, status=status)

    def _location(self, part: Part) -> str:
        with self._locating[part]:
            if part.location is None:
                part.location = self._locate(part.file)
            return part.location

    # ── checking ──

    def _check(self, _number: int) -> None:
        """Hash each file behind those who fetch it, then put it in place."""
        buffer = memoryview(bytearray(BUFFER_BYTES))
        for part in self.parts:
            while not self._stopping and not part.is_finished:
                if part.is_present:
                    self._check_present(part, buffer)
                elif self._follow(part, buffer):
                    self._keep(part)
            if self._stopping:
                return

    def _check_present(self, part: Part, buffer: memoryview) -> None:
        path = self._folder.blob(part.file.digest)
        sum_ = hasher(part.file.digest, part.size)
        with open(path, "rb", buffering=0) as file:
            while not self._stopping and (count := file.readinto(buffer)):
                sum_.update(buffer[:count])
        if self._stopping:
            return
        sound = sum_.hexdigest() == part.file.digest
        if sound:
            self._accept(str(path), part.file)
        with self._changed:
            part.is_present, part.is_finished = False, sound
            self._changed.notify_all()

    def _follow(self, part: Part, buffer: memoryview) -> bool:
        """Whether the file came through whole and unharmed. False: it was begun anew, or everything stops."""
        sum_, at, generation = hasher(part.file.digest, part.size), 0, part.generation
        while at < part.size or not part.is_open:
            with self._changed:
                while part.frontier() <= at and not self._stopping and part.generation == generation:
                    if part.is_open and part.size == 0:
                        break
                    self._changed.wait(0.5)
                if self._stopping or part.generation != generation:
                    return False
                until = part.frontier()
            while at < until:
                count = os.preadv(part.fd, [buffer[: min(BUFFER_BYTES, until - at)]], at)
                sum_.update(buffer[:count])
                at += count
        if sum_.hexdigest() == part.file.digest:
            return True
        with self._changed:
            if part.generation == generation:
                part.restart(_damaged(part.file))
                self._changed.notify_all()
        return False

    def _keep(self, part: Part) -> None:
        self._accept(str(self._folder.part(part.file.digest)), part.file)
        part.sync()
        self._folder.put_in_place(part.file.digest)
        with self._changed:
            part.is_finished = True
            part.close()
            self._changed.notify_all()


def _order(file: RepoFile) -> tuple[bool, int, str]:
    return file.suffix == ".safetensors", file.size if file.suffix != ".safetensors" else 0, file.path


def _range_end(response: http.client.HTTPResponse, at: int, part: Part) -> int:
    """Where the bytes of a 206 end. Raises Changed when it speaks of another file, Trouble when of other bytes."""
    words = response.headers.get("Content-Range", "").removeprefix("bytes ")
    span, _, total = words.partition("/")
    begin, _, end = span.partition("-")
    if not (begin.isdigit() and end.isdigit()):
        raise Trouble("bad_range", "The data's host sends other bytes than those it was asked for.")
    if total != str(part.size):
        raise Changed
    if int(begin) != at or int(end) < at:
        raise Trouble("bad_range", "The data's host sends other bytes than those it was asked for.")
    if response.length is not None and response.length != int(end) - at + 1:
        raise Trouble("bad_range", "The data's host sends other bytes than those it was asked for.")
    return int(end) + 1


def _damaged(file: RepoFile) -> RunFailed:
    return RunFailed(
        "file_damaged",
        f"{file.path} does not have the hash that the hub gives for it, however often it is fetched. It was not kept.",
        "Try again later; if a mirror is configured (HF_ENDPOINT), it may be at fault.",
        sentence="hub_file_damaged",
        file=file.path,
    )
