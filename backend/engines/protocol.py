"""Every message between the server and its workers, both ways.

Two wires use these structs, both carry one JSON object per line:

* the *control* socket of a forkserver (`engines.forkserver`): `Spawn` in; `ForkserverReady`, `Spawned`, `Exited` out;
* HTTP over a worker's Unix socket (`engines.host`): `GET /health` answers `Health`; `POST /run` takes one `Task` and
  streams `Update` lines (`application/x-ndjson`) whose last one is terminal; `POST /cancel` takes a `Cancel`.

Structs are msgspec's: validated when decoded, unknown fields ignored, tagged by `type`. This module imports nothing
but msgspec, so that it loads in every engine's environment and in the server. Messages hold data only, never code:
no pickle crosses this wire.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

MAX_LINE_BYTES = 4 * 1024 * 1024
HEARTBEAT_SECONDS = 1.0


class WorkerPhase(StrEnum):
    """What a worker says of itself at `GET /health`.

    loading ──model loaded──> ready <──run──> busy
       └──load failed──> failed (the process then ends)
    """

    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    FAILED = "failed"


class Message(msgspec.Struct, tag_field="type", tag=True, kw_only=True):
    """Root of all messages; the tag is the class name."""


# ── server -> forkserver, and back ────────────────────────────────────────────


class Spawn(Message):
    """Fork one worker. `options` are the model's load options; `env` is added to the child's environment."""

    worker_id: str
    engine: str
    model_path: str
    socket_path: str
    log_path: str
    options: dict[str, str | int | float | bool] = {}
    env: dict[str, str] = {}


class ForkserverReady(Message):
    """The libraries are imported; `rss` is the resident size in bytes."""

    pid: int
    preload_seconds: float
    rss: int


class Spawned(Message):
    worker_id: str
    pid: int


class Exited(Message):
    """A worker ended. `code` is its exit status, or None when `signal` ended it."""

    worker_id: str
    pid: int
    code: int | None = None
    signal: int | None = None


ControlOut = ForkserverReady | Spawned | Exited


# ── server -> worker ──────────────────────────────────────────────────────────


class TextToImage(Message):
    """Make `len(seeds)` pictures of one prompt.

    Sizes are pixels, `steps` ≥ 1, `guidance_scale` ≥ 0 (1 or less: no guidance). Every picture has its own seed and is
    the picture it would be alone. `scheduler` is a key of `engines.schedulers`, None keeps the model's own.
    Files go to `output_dir` (exists, writable) as `<index>.<format>` and `<index>.thumb.webp`.
    """

    task_id: str
    output_dir: str
    prompt: str
    negative_prompt: str
    seeds: list[int]
    steps: int
    guidance_scale: float
    width: int
    height: int
    scheduler: str | None = None
    format: str = "png"
    model_key: str = ""
    preview_every: int = 1


class FakeTask(Message):
    """What the fake engine does, for tests of the server: `script` is a list of verbs (`engines.fake`)."""

    task_id: str
    output_dir: str
    script: list[str] = []


Task = TextToImage | FakeTask


class Cancel(Message):
    task_id: str


# ── worker -> server ──────────────────────────────────────────────────────────


class Failed(Message):
    """The run ended with an error of its own; the worker lives on. `code` is stable, `hint` says what to do next.

    For dashboards in other languages: `sentence` tells which of a code's sentences the message is (empty: its only
    one), `params` are the values that stand in it.
    """

    code: str
    message: str
    hint: str = ""
    sentence: str = ""
    params: dict[str, str | int | float] = {}

    @property
    def sentence_code(self) -> str:
        return f"engine.{self.sentence or self.code}"


class Health(Message):
    """`weights_bytes` and `rss` in bytes; `failure` explains the phase `failed`."""

    phase: WorkerPhase
    pid: int
    engine: str
    load_seconds: float | None = None
    weights_bytes: int = 0
    rss: int = 0
    private_bytes: int = 0
    device: str = "cpu"
    failure: Failed | None = None


class Heartbeat(Message):
    """Nothing new, still alive. Sent every `HEARTBEAT_SECONDS` while a run has nothing else to say."""


class Preview(msgspec.Struct, kw_only=True):
    """A small JPEG of picture `index` as it stands, base64; `final` when that picture is done and others are not."""

    index: int
    jpeg: str
    final: bool = False


class Progress(Message):
    """`step` of `total` steps over all pictures of the task; previews only when there are new ones."""

    step: int
    total: int
    message: str | None = None
    previews: list[Preview] = []


class File(msgspec.Struct, kw_only=True):
    """One finished picture, closed and complete. Paths are relative to the task's `output_dir`."""

    index: int
    path: str
    thumbnail: str
    sha256: str
    bytes: int
    width: int
    height: int
    seed: int
    recipe: dict


class Done(Message):
    files: list[File]
    seconds: float = 0.0
    peak_bytes: int = 0


class Cancelled(Message):
    """The run ended because it was asked to."""


Update = Heartbeat | Progress | Done | Failed | Cancelled

_encoder = msgspec.json.Encoder()
task_decoder = msgspec.json.Decoder(Task)
update_decoder = msgspec.json.Decoder(Update)
control_decoder = msgspec.json.Decoder(ControlOut)
spawn_decoder = msgspec.json.Decoder(Spawn)
health_decoder = msgspec.json.Decoder(Health)
cancel_decoder = msgspec.json.Decoder(Cancel)


def encode_line(message: Message) -> bytes:
    """One message as a line of JSON, newline included."""
    return _encoder.encode(message) + b"\n"
