"""An engine without a model, for tests of everything around engines. Needs no library but msgspec.

    python -m engines.host fake --model-path . --socket /tmp/w.sock --options '{"step_seconds": 0.05}'

It takes `TextToImage` and draws small real pictures in a colour made from the seed, and from the start picture and the
mask where there are some; `ImageToVideo`, for which it has one clip of four frames; or a `FakeTask` whose script is a
list of verbs, done in order. Words of a prompt that begin with `fake:` are verbs too, done before the drawing:
"a fox fake:hang". A batch takes `step_seconds` for a step of all its pictures together.

    step:SECONDS          one step of progress after that time (one step of the script's total)
    file                  a picture, listed in Done
    fail:CODE             end with Failed
    fail_first:CODE       as fail, once in the life of this process
    crash:HOW             sigsegv | sigkill | abort | exit3: end the process
    hang                  never come back and ignore cancel; heartbeats go on
    silent                stop the process (SIGSTOP): heartbeats end, SIGTERM has no effect
    ignore_cancel         the steps after it do not look at cancel
    alloc:BYTES           hold that much touched memory until the run ends
    stdout_flood:BYTES    write that much to stdout
    fork_grandchild       start a child that sleeps an hour; its pid goes to the message of a Progress

Load options, also in a file `fake.json` of the model's folder: `step_seconds` (0), `load_seconds` (0), `load_fails`
(a code), `load_fails_first` (as load_fails, once for a model's folder, in which it leaves a file), `load_crashes` (as
crash), `weights_bytes` (1024), `parks` (it can be parked), `wake_fails` (a code), `wake_seconds` (0), `peak_bytes`
(what every run says it took; measured when 0), `device` ("cpu"; what it says it runs on). With `task` "chat" or
"embed" it serves OpenAI's API by a child (`engines.fake_chat`), under the names in `served` (with `|` between them);
`tokens`, `delay_ms`, `first_delay_ms`, `max_model_len` are that server's.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

from engines import fake_clips
from engines.engine import OPENAI_SOCKET, LoadFailed, Options, Run, RunCancelled, RunFailed
from engines.failpoints import failpoint
from engines.openai_child import OpenAIChild
from engines.protocol import (
    Attention,
    Batch,
    BatchDone,
    Cancelled,
    Done,
    Enlarge,
    Failed,
    FakeTask,
    File,
    ImageToVideo,
    InputImage,
    LeftOut,
    Parked,
    Progress,
    TextToImage,
    UpscalerUse,
)

TASKS = (TextToImage, Batch, ImageToVideo, Enlarge, FakeTask)
CHAT_TASKS = ("chat", "embed")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def preload() -> None:
    """Nothing to import beyond this module."""


def load(model_path: Path, options: Options) -> FakeEngine:
    options = {**options, **_beside(model_path)}
    time.sleep(float(options.get("load_seconds", 0)))
    if how := options.get("load_crashes"):
        _crash(str(how))
    if code := options.get("load_fails"):
        raise LoadFailed(str(code), "the fake engine was told to fail", "Tell it something else.")
    if (code := options.get("load_fails_first")) and not (mark := model_path / "failed").exists():
        mark.touch()
        raise LoadFailed(str(code), "the fake engine was told to fail once", "Tell it something else.")
    if str(options.get("task", "")) in CHAT_TASKS:
        return (ParkableFakeChat if options.get("parks") else FakeChat)(model_path, options)
    return ParkableFake(options) if options.get("parks") else FakeEngine(options)


def _beside(model_path: Path) -> dict[str, str | int | float | bool]:
    """Load options that a test has put into the model's folder."""
    file = model_path / "fake.json"
    return json.loads(file.read_text()) if file.is_file() else {}


class FakeEngine:
    def __init__(self, options: Options) -> None:
        self.device = str(options.get("device", "cpu"))
        self._options = options
        self._step_seconds = float(options.get("step_seconds", 0))
        self.weights_bytes = int(options.get("weights_bytes", 1024))
        wanted = str(options.get("quantization", "none"))
        self.left_out = [] if wanted == "none" else [LeftOut(option=f"quantization: {wanted}", why="model")]
        self.attention = Attention(backend="sdpa", without=[LeftOut(option="flash", why="cpu")])

    def run(self, task: TextToImage | Batch | ImageToVideo | Enlarge | FakeTask, run: Run) -> Done | BatchDone:
        failpoint("engine.before_run")
        match task:
            case TextToImage():
                done: Done | BatchDone = self._draw(task, run)
            case Batch():
                done = self._draw_together(task, run)
            case ImageToVideo():
                done = self._film(task, run)
            case Enlarge():
                _sleep(self._step_seconds, run)
                done = _enlarge(task)
            case _:
                done = Script(task, run).play()
        done.peak_bytes = int(self._options.get("peak_bytes", 0))
        return done

    def _draw_together(self, batch: Batch, run: Run) -> BatchDone:
        for task in batch.tasks:
            _perform_prompt(task, run)
        pictures = sum(len(task.seeds) for task in batch.tasks)
        steps = batch.tasks[0].steps
        for step in range(steps):
            _sleep(self._step_seconds, run)
            failpoint("engine.mid_step")
            run.report(Progress(step=(step + 1) * pictures, total=steps * pictures))
        ends: dict[str, Done | Failed | Cancelled] = {}
        for task in batch.tasks:
            ends[task.task_id] = Cancelled() if run.left_out(task.task_id) else Done(files=_pictures_of(task))
            failpoint("engine.after_encode")
        failpoint("engine.before_done")
        return BatchDone(ends=ends, at_once=min(pictures, batch.at_once))

    def _draw(self, task: TextToImage, run: Run) -> Done:
        _perform_prompt(task, run)
        pictures = [*([task.start.image] if task.start else []), *([task.inpaint.mask] if task.inpaint else [])]
        seen = b"".join(_bytes_of(picture) for picture in pictures)
        larger = task.hires or task
        told = _told(task)
        files = []
        for index, seed in enumerate(task.seeds):
            self._steps(task, index, task.steps + (task.hires.steps if task.hires else 0), run)
            files.append(write_picture(task.output_dir, index, seed, larger.width, larger.height, seen, told))
            failpoint("engine.after_encode")
        failpoint("engine.before_done")
        return Done(files=files)

    def _film(self, task: ImageToVideo, run: Run) -> Done:
        seen = _bytes_of(task.image)
        told = {"task": "image_to_video", "start": _named(task.image), "frames": task.frames, "fps": task.fps}
        files = []
        for index, seed in enumerate(task.seeds):
            self._steps(task, index, task.steps, run)
            files.append(write_clip(task, index, seed, seen, told))
            failpoint("engine.after_encode")
        failpoint("engine.before_done")
        return Done(files=files)

    def _steps(self, task: TextToImage | ImageToVideo, index: int, steps: int, run: Run) -> None:
        for step in range(steps):
            _sleep(self._step_seconds, run)
            failpoint("engine.mid_step")
            run.report(Progress(step=index * steps + step + 1, total=steps * len(task.seeds)))


def _perform_prompt(task: TextToImage, run: Run) -> None:
    verbs = [word.removeprefix("fake:") for word in task.prompt.split() if word.startswith("fake:")]
    Script(FakeTask(task_id=task.task_id, output_dir=task.output_dir, script=verbs), run).perform()


def _pictures_of(task: TextToImage) -> list[File]:
    told = _told(task)
    return [
        write_picture(task.output_dir, index, seed, task.width, task.height, b"", told)
        for index, seed in enumerate(task.seeds)
    ]


class ParkableFake(FakeEngine):
    """Says that it keeps a thousandth of its weights, and that the rest is in the host's memory."""

    def park(self) -> Parked:
        aside = self.weights_bytes if self.device != "cpu" else 0
        return Parked(rest_bytes=self.weights_bytes // 1000, host_bytes=aside)

    def wake(self) -> None:
        time.sleep(float(self._options.get("wake_seconds", 0)))
        if code := self._options.get("wake_fails"):
            raise RunFailed(str(code), "the fake engine was told not to wake", "Tell it something else.")


class FakeChat(FakeEngine):
    """Its child serves; pictures can be asked for all the same."""

    serves_openai = True

    def __init__(self, model_path: Path, options: Options) -> None:
        super().__init__(options)
        self.left_out = []
        names = [
            *str(options.get("served") or model_path.name).split("|"),
            *json.loads(str(options.get("loras") or "{}")),
        ]
        socket = Path(str(options[OPENAI_SOCKET]))
        command = [sys.executable, "-m", "engines.fake_chat", "--socket", str(socket), "--task", str(options["task"])]
        command += [part for name in names for part in ("--name", name)]
        self.child = OpenAIChild([*command, "--settings", json.dumps(dict(options))], socket)
        self.child.start(30.0)

    def close(self) -> None:
        self.child.close()


class ParkableFakeChat(FakeChat, ParkableFake):
    """Its server sleeps meanwhile."""

    def park(self) -> Parked:
        self.child.request("POST", "/sleep?level=1")
        return super().park()

    def wake(self) -> None:
        super().wake()
        self.child.request("POST", "/wake_up")


class Script:
    """One FakeTask being played."""

    failed_before: set[str] = set()

    def __init__(self, task: FakeTask, run: Run) -> None:
        self._task = task
        self._run = run
        self._total = sum(verb.startswith("step") for verb in task.script) or 1
        self._step = 0
        self._files: list[File] = []
        self._heeds_cancel = True
        self._held: list[bytearray] = []

    def play(self) -> Done:
        self.perform()
        failpoint("engine.before_done")
        return Done(files=self._files)

    def perform(self) -> None:
        for verb in self._task.script:
            name, _, argument = verb.partition(":")
            action = getattr(self, f"_do_{name}", None)
            if action is None:
                raise RunFailed("unknown_verb", f"the fake engine does not know {verb!r}")
            action(argument) if argument else action()

    def _do_step(self, seconds: str = "0") -> None:
        _sleep(float(seconds), self._run if self._heeds_cancel else None)
        failpoint("engine.mid_step")
        self._step += 1
        self._run.report(Progress(step=self._step, total=self._total))

    def _do_file(self) -> None:
        index = len(self._files)
        self._files.append(write_picture(self._task.output_dir, index, index, 64, 64))
        failpoint("engine.after_encode")

    def _do_fail(self, code: str) -> None:
        raise RunFailed(code, "the script says so", "Change the script.")

    def _do_fail_first(self, code: str) -> None:
        if code not in self.failed_before:
            self.failed_before.add(code)
            self._do_fail(code)

    def _do_crash(self, how: str) -> None:
        _crash(how)

    def _do_hang(self) -> None:
        while True:
            time.sleep(3600)

    def _do_silent(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def _do_ignore_cancel(self) -> None:
        self._heeds_cancel = False

    def _do_alloc(self, size: str) -> None:
        memory = bytearray(int(size))
        memory[::4096] = b"\x01" * len(memory[::4096])
        self._held.append(memory)

    def _do_stdout_flood(self, size: str) -> None:
        line = b"flood " * 682 + b"\n"
        for _ in range(-(-int(size) // len(line))):
            os.write(1, line)

    def _do_fork_grandchild(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        self._run.report(Progress(step=self._step, total=self._total, message=f"grandchild {child.pid}"))


def _sleep(seconds: float, run: Run | None) -> None:
    """Sleep, but no longer than it takes to see a cancel; without a run, sleep through it."""
    until = time.monotonic() + seconds
    while True:
        if run is not None and run.cancelled:
            raise RunCancelled
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, 0.02))


def _crash(how: str) -> None:
    sys.stderr.write(f"fake engine: about to crash by {how}\n")
    sys.stderr.flush()
    if how == "sigsegv":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "abort":
        os.abort()
    elif how == "exit3":
        os._exit(3)
    raise RunFailed("unknown_verb", f"the fake engine does not know how to crash by {how!r}")


def _bytes_of(picture: InputImage) -> bytes:
    """The file of a picture that came in. Raises RunFailed when it is no PNG, which is what the server writes."""
    try:
        data = Path(picture.path).read_bytes()
    except OSError:
        data = b""
    if not data.startswith(PNG_SIGNATURE):
        raise RunFailed("input_unreadable", "the picture to start from cannot be read", "Upload it again.")
    return data


def _named(picture: InputImage) -> dict[str, str]:
    return {"key": picture.key, "sha256": picture.sha256}


def _told(task: TextToImage) -> dict[str, object]:
    """The part of a recipe that depends on the task, as the real engine writes it."""
    told: dict[str, object] = {"task": "text_to_image", "width": task.width, "height": task.height}
    told |= {"asked": task.asked} if task.asked else {}
    if task.start:
        told |= {"task": "image_to_image"}
        told["start"] = {**_named(task.start.image), "strength": task.start.strength, "fit": task.start.fit}
        told["start"] |= _upscaler(task.start.upscaler)
    if task.inpaint:
        told |= {"task": "inpaint", "inpaint": {"mask": _named(task.inpaint.mask), "blur": task.inpaint.blur}}
    if task.hires:
        told["hires"] = {"width": task.hires.width, "height": task.hires.height, "steps": task.hires.steps}
        told["hires"] |= {"upscaler": task.hires.upscaler, **_upscaler(task.hires.network)}
    return told


def _upscaler(use: UpscalerUse | None) -> dict[str, str]:
    return {"upscaler": use.key, "upscaler_sha256": use.sha256} if use else {}


def _enlarge(task: Enlarge) -> Done:
    """Of one colour, and not the source's."""
    colour = hashlib.sha256(Path(task.source).read_bytes()).digest()[:3]
    data = png(colour, task.width, task.height)
    _write(Path(task.target), data)
    answer = {"width": task.width, "height": task.height, "bytes": len(data)}
    return Done(answer=answer | {"sha256": hashlib.sha256(data).hexdigest()})


def write_picture(
    directory: str, index: int, seed: int, width: int, height: int, seen: bytes = b"", told: dict | None = None
) -> File:
    """A PNG in the seed's colour with a darker lower half; another colour for each picture that was `seen`. The
    thumbnail is a PNG too, whatever its name."""
    colour = hashlib.sha256(str(seed).encode() + seen).digest()[:3]
    data = png(colour, width, height)
    _write(Path(directory) / f"{index}.png", data)
    _write(Path(directory) / f"{index}.thumb.webp", png(colour, max(1, width // 2), max(1, height // 2)))
    return File(
        index=index,
        path=f"{index}.png",
        thumbnail=f"{index}.thumb.webp",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        width=width,
        height=height,
        seed=seed,
        recipe={"seed": seed, "width": width, "height": height, **(told or {}), "engine": "fake"},
    )


def write_clip(task: ImageToVideo, index: int, seed: int, seen: bytes, told: dict) -> File:
    """The one clip that this engine has, as mp4 or WebP; its poster is a PNG in a colour of its own."""
    name = f"{index}.{task.format}"
    data = fake_clips.WEBP if task.format == "webp" else fake_clips.MP4
    _write(Path(task.output_dir) / name, data)
    colour = hashlib.sha256(str(seed).encode() + seen).digest()[:3]
    _write(Path(task.output_dir) / f"{index}.thumb.webp", png(colour, fake_clips.SIDE, fake_clips.SIDE))
    return File(
        index=index,
        path=name,
        thumbnail=f"{index}.thumb.webp",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        width=task.width,
        height=task.height,
        seed=seed,
        recipe={"seed": seed, "width": task.width, "height": task.height, **told, "engine": "fake"},
        frames=task.frames,
        fps=float(task.fps),
    )


def png(colour: bytes, width: int, height: int) -> bytes:
    """An RGB PNG, by hand: signature, header, one compressed block of rows (each after filter byte 0), end."""
    top = b"\0" + colour * width
    bottom = b"\0" + bytes(value // 2 for value in colour) * width
    rows = top * (height - height // 2) + bottom * (height // 2)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
