"""Every message between the server and its workers, both ways.

Two wires use these structs, both carry one JSON object per line:

* the *control* socket of a forkserver (`engines.forkserver`): `Spawn` in; `ForkserverReady`, `Spawned`, `Exited` out;
* HTTP over a worker's Unix socket (`engines.host`): `GET /health` answers `Health`; `POST /run` takes one `Task` and
  streams `Update` lines (`application/x-ndjson`) whose last one is terminal; `POST /cancel` takes a `Cancel`. Parking
  and waking are tasks too: they may take seconds, and heartbeats tell that they go on.

Structs are msgspec's: validated when decoded, unknown fields ignored, tagged by `type`. This module imports nothing
but msgspec, so that it loads in every engine's environment and in the server. Messages hold data only, never code:
no pickle crosses this wire.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

MAX_LINE_BYTES = 4 * 1024 * 1024
HEARTBEAT_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 600
"""So long a server of OpenAI's API keeps a connection on which nothing is asked."""

OPENAI_SUFFIX = ".v1"
"""A worker that serves OpenAI's API does so on a second socket: the first one's path with this suffix."""

TEMPORARY_SUFFIX = ".tmp"
"""And this is the folder in which that server puts down what goes with it."""


class WorkerPhase(StrEnum):
    """What a worker says of itself at `GET /health`.

    loading ──model loaded──> ready <──run──> busy
       │                        └──Park──> parked ──Wake──> ready
       └──load failed──> failed (the process then ends)
    """

    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    PARKED = "parked"
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


class LoraUse(msgspec.Struct, kw_only=True):
    """A LoRA to run with: a safetensors file (`path`, absolute) of diffusers' or kohya's layout. `weight` is the
    denoiser's, `text_weight` the text encoders' (None: the same). `key` names it in recipes, `sha256` too (hex)."""

    key: str
    path: str
    sha256: str = ""
    weight: float = 1.0
    text_weight: float | None = None


class EmbeddingUse(msgspec.Struct, kw_only=True):
    """A textual inversion: the word `token` of the prompt stands for the vectors in the safetensors file `path`. `key`
    names it in recipes."""

    token: str
    path: str
    sha256: str = ""
    key: str = ""


class UpscalerUse(msgspec.Struct, kw_only=True):
    """A network that enlarges pixels: a safetensors file of one that spandrel knows. `key` names it in recipes,
    `sha256` too (hex)."""

    key: str
    path: str
    sha256: str = ""


class InputImage(msgspec.Struct, kw_only=True):
    """A picture to start from: a PNG that the server decoded and wrote itself, upright, RGB (masks: L). `key` names it
    in recipes: an id of the gallery or of an upload."""

    path: str
    key: str = ""
    sha256: str = ""


class ImageStart(msgspec.Struct, kw_only=True):
    """Begin from `image` instead of noise. `strength` 0 to 1: how much of it may change. `fit`: how it comes to the
    size of the result: "crop" (fill and cut), "pad" (whole, edges extended), "stretch". `upscaler` enlarges it
    before."""

    image: InputImage
    strength: float = 0.6
    fit: str = "crop"
    upscaler: UpscalerUse | None = None


class Inpaint(msgspec.Struct, kw_only=True):
    """Repaint where `mask` is white, and only there. `blur`: radius in pixels of the mask's soft edge. `only_masked`:
    work on the masked part alone at the full size, with `padding` pixels around it, and put it back. `fill`: what
    stands under the mask at the start: "original", "blur" (surroundings), "noise", "nothing"."""

    mask: InputImage
    blur: int = 4
    only_masked: bool = False
    padding: int = 32
    fill: str = "original"


class Hires(msgspec.Struct, kw_only=True):
    """A second pass over the finished picture, enlarged to `width` × `height` by `upscaler` ("latent", "lanczos",
    "nearest", or `network`): `steps` more steps at `strength`, with `scheduler` (None: that of the first pass)."""

    width: int
    height: int
    steps: int
    strength: float = 0.5
    upscaler: str = "lanczos"
    network: UpscalerUse | None = None
    scheduler: str | None = None


class SamplerSettings(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the scheduler's steps are told (`engines.schedulers.SETTINGS`); None: its own default. `s_tmax` None: up to
    any level of noise."""

    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None


class TextToImage(Message):
    """Make `len(seeds)` pictures of one prompt.

    Sizes are pixels, `steps` ≥ 1, `guidance_scale` ≥ 0 (1 or less: no guidance). Every picture has its own seed and is
    the picture it would be alone. `scheduler` is a key of `engines.schedulers`, None keeps the model's own.
    Files go to `output_dir` (exists, writable) as `<index>.<format>` and `<index>.thumb.webp`.

    Prompts may hold A1111's weights and BREAK. `subseeds` (one per seed, or none): each picture's noise is moved by
    `subseed_strength` (0 to 1, spherical) towards that of its subseed. `clip_skip`: how many of CLIP's last layers are
    left out, 0 = none. With `start` it is image-to-image, with `inpaint` as well inpainting. `quality`: of WebP and
    JPEG, 1 to 100. `asked` goes into the recipe as it is: what was typed, where the prompts are not that.
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
    sampler_settings: SamplerSettings | None = None
    format: str = "png"
    quality: int = 95
    model_key: str = ""
    preview_every: int = 1
    clip_skip: int = 0
    subseeds: list[int] = []
    subseed_strength: float = 0.0
    loras: list[LoraUse] = []
    embeddings: list[EmbeddingUse] = []
    start: ImageStart | None = None
    inpaint: Inpaint | None = None
    hires: Hires | None = None
    asked: dict[str, Any] = {}


class Batch(Message):
    """Several tasks in one denoising loop. They differ in prompts, seeds, formats and folders alone; each picture is
    the one that it would be alone, but for one level of 255 in some pixels. At most `at_once` pictures go through
    together; fewer when memory does not suffice.

    `Progress` counts over the pictures of all tasks, and a preview's index counts through them in order. A `Cancel`
    of one task lets the others go on: nothing of it is written any more. Ends with `BatchDone`.
    """

    task_id: str
    tasks: list[TextToImage]
    at_once: int


class ImageToVideo(Message):
    """Make one short video per seed out of `image`: `frames` frames at `fps`. `motion` 1 to 255 and `noise` 0 to 1 are
    Stable Video Diffusion's motion bucket and augmentation. Files: `<index>.mp4` or `<index>.webp`, and a poster
    `<index>.thumb.webp`."""

    task_id: str
    output_dir: str
    image: InputImage
    seeds: list[int]
    steps: int
    guidance_scale: float
    width: int
    height: int
    frames: int
    fps: int = 7
    motion: int = 127
    noise: float = 0.02
    scheduler: str | None = None
    format: str = "mp4"
    model_key: str = ""
    preview_every: int = 1


class Enlarge(Message):
    """Bring the picture `source` (a PNG that the server wrote) to `width` × `height` pixels by an upscaler, which is
    the worker's model, and write it to `target`, a PNG. With `crop` what its shape has too much is cut off, else it is
    stretched. Answer: `width`, `height`, `bytes`, `sha256`."""

    task_id: str
    source: str
    target: str
    width: int
    height: int
    crop: bool = False


class FakeTask(Message):
    """What the fake engine does, for tests of the server: `script` is a list of verbs (`engines.fake`)."""

    task_id: str
    output_dir: str
    script: list[str] = []


class Park(Message):
    """Put the weights aside, keep the process: libraries, tokenizers and settings stay. Ends with `Parked`."""

    task_id: str


class Wake(Message):
    """Bring the weights back. Ends with `Awake`; a run before that is refused."""

    task_id: str


class HubAccess(msgspec.Struct, kw_only=True):
    """How the hub is reached: `endpoint` without a slash at its end, the token ("" = none), and the variables that name
    proxies and certificates (`HTTPS_PROXY`, `SSL_CERT_FILE`, …). Never shown, not even by `repr`."""

    endpoint: str
    token: str = ""
    network: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"HubAccess({self.endpoint!r})"


class HubSearch(Message):
    """Repositories that match. `tasks` are the hub's pipeline tags, asked one after another; `filters` its tags."""

    task_id: str
    access: HubAccess
    query: str
    tasks: list[str] = []
    filters: list[str] = []
    limit: int = 20


class HubToken(Message):
    """Whose token is it?"""

    task_id: str
    access: HubAccess


class HubPlan(Message):
    """What a download of `repo` at `revision` would fetch into the Hugging Face cache `cache`. `prefer_half`: of
    weights that are offered twice, those of half precision. `file`: which of several single files; without it the plan
    lists them as `choices`."""

    task_id: str
    access: HubAccess
    repo: str
    revision: str
    cache: str
    prefer_half: bool = False
    file: str = ""


class HubDownload(Message):
    """Fetch what `HubPlan` chooses at `commit`, check every file's hash, and put it into `cache` under the name
    `revision` as well. Sizes are bytes, times seconds. `patience`: how long it may go without a byte before it gives
    up; `stall`: how long one connection may; `pause`: the first pause before something is tried again."""

    task_id: str
    access: HubAccess
    repo: str
    commit: str
    revision: str
    cache: str
    prefer_half: bool = False
    file: str = ""
    reserve_bytes: int = 0
    chunk_bytes: int = 32 * 1024 * 1024
    connections: int = 4
    stall: float = 20.0
    patience: float = 120.0
    pause: float = 1.0


class ReadPicture(Message):
    """Decode the file `source` (PNG, JPEG or WebP, told by its content) and write it anew to `target`: upright, without
    metadata, on white where it is transparent. Without a `target` it is only looked at.

    `mode`: "RGB"; "L" for masks, on black where it is transparent; "A" for a mask of its transparency, white where it
    is transparent. `invert` swaps black and white. `width` and `height` (0: as it is) bring it to another size by
    `resample` ("lanczos", "nearest"), with `crop` by cutting what its shape has too much, `format` is "png", "jpeg" or
    "webp". Answer: `width`, `height`, `format` (the source's), `low` and `high` (a mask's darkest and brightest value),
    and of what was written `bytes`, `sha256`."""

    task_id: str
    source: str
    target: str = ""
    mode: str = "RGB"
    invert: bool = False
    width: int = 0
    height: int = 0
    resample: str = "lanczos"
    crop: bool = False
    format: str = "png"
    max_pixels: int = 50_000_000


class ReadMetadata(Message):
    """What the file `source` says of itself. Answer: `width`, `height`, `format`, `texts` (PNG's text chunks, and
    `parameters` and `atelier` from EXIF as well), cut off where they are long beyond reason."""

    task_id: str
    source: str
    max_pixels: int = 50_000_000


class ComparePictures(Message):
    """How far the pictures in the files `source` and `other` are apart. Answer: `same_size`; `most`: the largest
    difference of any channel of any pixel, in levels of 255; `share`: of pixels that differ at all, 0 to 1."""

    task_id: str
    source: str
    other: str
    max_pixels: int = 50_000_000


class ExtendCanvas(Message):
    """Write the picture `source` with so many pixels more at each side to `target`, its edges drawn out into them, and
    to `mask` where there is something to be painted: white outside, and `feather` pixels of the old picture gently.
    Answer: `width`, `height` of the canvas."""

    task_id: str
    source: str
    target: str
    mask: str
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    feather: int = 16
    max_pixels: int = 50_000_000


class DrawSheet(Message):
    """Draw the pictures in the files `sources`, in reading order, on one sheet of `columns` columns with the words `x`
    above them and `y` before the rows; write it to `target` (PNG, which holds `recipe`) and small to `thumbnail`
    (WebP). Answer: `width`, `height`, `bytes`, `sha256`."""

    task_id: str
    sources: list[str]
    target: str
    thumbnail: str
    columns: int
    x: list[str] = []
    y: list[str] = []
    recipe: dict = {}
    max_pixels: int = 50_000_000


PictureTask = ReadPicture | ReadMetadata | ComparePictures | ExtendCanvas | DrawSheet
HubTask = HubSearch | HubToken | HubPlan | HubDownload
Task = TextToImage | Batch | ImageToVideo | Enlarge | FakeTask | Park | Wake | HubTask | PictureTask


class Cancel(Message):
    task_id: str


# ── worker -> server ──────────────────────────────────────────────────────────


class Failed(Message):
    """The run ended with an error of its own; the worker lives on. `code` is stable, `hint` says what to do next.

    For dashboards in other languages: `sentence` tells which of a code's sentences the message is (empty: its only
    one), `params` are the values that stand in it. `peak_bytes` as in `Done`.
    """

    code: str
    message: str
    hint: str = ""
    sentence: str = ""
    params: dict[str, str | int | float] = {}
    peak_bytes: int = 0

    @property
    def sentence_code(self) -> str:
        return f"engine.{self.sentence or self.code}"


class LeftOut(msgspec.Struct, kw_only=True):
    """A load option that was asked for and could not be had: `option` is it, as `name: value`. `why`: "cpu" (it is for
    GPUs), "compiler" (there is none), "model" (not for this one), "engine" (not with this one), or "error", with what a
    library said in `reason`."""

    option: str
    why: str
    reason: str = ""


class Attention(msgspec.Struct, kw_only=True):
    """Whose attention a model runs with, and why not with those that would have come first."""

    backend: str
    without: list[LeftOut] = []


class Health(Message):
    """`weights_bytes` and `rss` in bytes; `load_peak_bytes` is the most that loading took (as `Done.peak_bytes`);
    `failure` explains the phase `failed`; `left_out`: load options that could not be had; `attention`: of engines that
    choose one; `serves_openai`: it listens on its second socket too."""

    phase: WorkerPhase
    pid: int
    engine: str
    load_seconds: float | None = None
    weights_bytes: int = 0
    rss: int = 0
    private_bytes: int = 0
    load_peak_bytes: int = 0
    can_park: bool = False
    serves_openai: bool = False
    device: str = "cpu"
    failure: Failed | None = None
    left_out: list[LeftOut] = []
    attention: Attention | None = None


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


class FileShare(msgspec.Struct, kw_only=True):
    """How far one file of a download is. `state`: waiting, fetching, checking, done."""

    path: str
    bytes: int
    done_bytes: int
    state: str


class Transfer(Progress, kw_only=True):
    """Progress of a download: `step` and `total` count KiB. `quiet_seconds`: for how long the hub asked not to be."""

    done_bytes: int
    total_bytes: int
    bytes_per_second: float
    seconds_left: float | None
    quiet_seconds: float | None = None
    files: list[FileShare]


class File(msgspec.Struct, kw_only=True):
    """One finished picture or video, closed and complete. Paths are relative to the task's `output_dir`; `frames` and
    `fps` are a video's."""

    index: int
    path: str
    thumbnail: str
    sha256: str
    bytes: int
    width: int
    height: int
    seed: int
    recipe: dict
    frames: int = 1
    fps: float = 0.0


class Done(Message):
    """`files` of a task that makes pictures; `answer` of one that finds something out. `peak_bytes`: the most that this
    worker held on its device during the run, weights and libraries included. On the CPU that is memory of its own,
    without the pages that it shares with its forkserver."""

    files: list[File] = []
    answer: dict = {}
    seconds: float = 0.0
    peak_bytes: int = 0


class Cancelled(Message):
    """The run ended because it was asked to."""


class BatchDone(Message):
    """How each task of a batch ended, by its id. `at_once`: so many pictures went through together at most. `seconds`
    and `peak_bytes` as in `Done`, of the whole."""

    ends: dict[str, Done | Failed | Cancelled]
    at_once: int
    seconds: float = 0.0
    peak_bytes: int = 0


class Parked(Message):
    """The weights are aside: `rest_bytes` stay on the device, `host_bytes` are in the host's memory instead."""

    rest_bytes: int
    host_bytes: int
    seconds: float = 0.0


class Awake(Message):
    """The weights are back."""

    seconds: float = 0.0


Update = Heartbeat | Progress | Transfer | Done | BatchDone | Failed | Cancelled | Parked | Awake

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
