"""What a model needs to be run: which worker, with which options, how many bytes, for how long.

`need` answers for a load or a run before it happens; `note_…` remember how it was. Shared by everything that leases a
worker, so that a model that was loaded by hand is the one that its next request finds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import psutil
from engines import protocol
from engines.protocol import LeftOut
from engines.safetensors_file import DTYPE_BITS

from atelier.config import BACKEND, RuntimeSettings
from atelier.errors import BadRequest, WorkerStartFailed
from atelier.models.anatomy import Anatomy, read_anatomy
from atelier.models.chat_engines import CHAT_TASKS, ChatEngines
from atelier.models.chat_loading import (
    HELD,
    ChatSetup,
    dtype_of,
    engine_options,
    goes_without,
    held_as,
    setup_of,
    that_fits,
)
from atelier.models.chat_loras import ChatLoras
from atelier.models.chat_presets import preset_of
from atelier.models.estimate import FRAMEWORK_BYTES, TYPE_BYTES, Band, Parts, Work, learned, parts, upscaler_bytes
from atelier.models.learning import Learning, Measured, Subject
from atelier.models.lending import Lending, lacking, lent_parameters
from atelier.models.schemas import LEAST_CONTEXT, SPEED, LoadOptions
from atelier.runtime.abilities import ABILITIES
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.gpu import Device
from atelier.runtime.left_out import left_out
from atelier.runtime.worker import Worker, WorkerSpec
from atelier.said import Said
from atelier.tables import ModelRow

OF_PICTURES: tuple[dict[str, Any], ...] = (
    {"dtype": "bfloat16"},
    {"offload": "model"},
    {"offload": "group", "vae_tiling": True, "vae_slicing": True},
)
SMALLEST: dict[str, tuple[dict[str, Any], ...]] = {
    "image": OF_PICTURES,
    "video": OF_PICTURES,
    "chat": ({"quantization": "fp8", "kv_cache": "fp8", "context": LEAST_CONTEXT, "sequences": 1},),
}
"""By task, load options that make a model about as small as it gets."""

HOST_SHARE = 0.8
"""Of the machine's memory that an offloaded model may take; the rest is the system's and the server's."""

AMPERE = (8, 0)
"""CUDA's compute capability from which on GPUs compute in bfloat16; PyTorch emulates it before, vLLM refuses."""


@dataclass(frozen=True)
class Need:
    """A load or run, sized. `bytes` is on each of its devices; `spec` asks for the high end of it."""

    spec: WorkerSpec
    subject: Subject
    anatomy: Anatomy
    dtype: str
    work: Work
    held: Mapping[str, str]
    """How, as `estimate.parts` says it."""

    parts: Parts
    bytes: Band
    amount: float
    load_seconds: Band | None
    run_seconds: Band | None

    @property
    def run_expected(self) -> float | None:
        return self.run_seconds.expected if self.run_seconds else None


class Told(NamedTuple):
    """What a model takes of a device, for who looks at a list. `helped`: too much for every device as it is loaded
    usually, and not too much with other load options."""

    bytes: int
    helped: bool = False


def path_of(row: ModelRow) -> Path:
    """Where the model's files lie; embedded ones are named relative to the backend folder."""
    return (BACKEND / row.path).resolve()


class Sizing:
    """Knows the devices, the settings, what was measured, and which models were loaded with options of their own."""

    def __init__(
        self,
        learning: Learning,
        devices: Sequence[Device],
        settings: RuntimeSettings,
        chat_engines: ChatEngines | None = None,
    ) -> None:
        self.learning = learning
        self.chat_engines = chat_engines or ChatEngines(devices, lambda _environment: True, fake=settings.fake_engine)
        self.loras, self.lending = ChatLoras(), Lending()
        self._devices, self._settings = devices, settings
        self._kind = devices[0].kind if devices else "cpu"
        self.host_bytes = psutil.virtual_memory().total
        self._by_hand: dict[str, LoadOptions] = {}
        self._outlines: WeakKeyDictionary[ModelRow, tuple[Anatomy, float]] = WeakKeyDictionary()
        self._largest: WeakKeyDictionary[Worker, int] = WeakKeyDictionary()
        self._heard: WeakSet[WorkerStartFailed] = WeakSet()
        self._lacked: dict[str, tuple[Said, ...]] = {}

    # ── before ──

    def need(
        self,
        row: ModelRow,
        work: Work | None = None,
        *,
        steps: int = 1,
        outputs: int = 1,
        options: LoadOptions | None = None,
        together: int = 1,
    ) -> Need:
        """What this work needs; without one, a picture of the model's own size (a request of its whole context).
        `options` replace those that the model is loaded with. `together`: so many pictures of several requests at
        once. Reads small files the first time."""
        options = options or self.options_of(row)
        if row.task in CHAT_TASKS:
            return self._chat_need(row, options)
        work = work or self.usual_work(row)
        if row.task in ("image", "video"):
            work = replace(work, batch=max(min(work.batch, options.batch or 1), together))
        engine = self.engine_of(row)
        dtype = options.dtype or self._half(options) or "float32"
        spread = self._spread(engine, options)
        shares_memory = any(device.shares_memory for device in self._devices)  # what waits there takes as much
        held = {"quantization": options.weights, "offload": "none" if shares_memory else options.offload or "none"}
        if row.task == "image":  # a video's frames are decoded a few at a time as it is
            held |= {name: "vae" if getattr(options, f"vae_{name}") else "none" for name in ("slicing", "tiling")}
        sized = parts(self.anatomy_of(row), work, kind=self._kind, dtype=dtype, devices=spread, **held)
        changed = "".join(f" {value if value != 'vae' else name}" for name, value in held.items() if value != "none")
        subject = Subject(row.id, self._kind, f"{engine} {dtype} x{spread}{changed}")
        chosen, amount = self._engine_options(options), _amount(work, steps, outputs)
        if lender := self.lending.lender(row, options.parts_from):
            chosen += (("parts_from", str(path_of(lender))),)
        return self._need(row, options, subject, dtype, work, held, sized, engine, chosen, amount)

    def _chat_need(self, row: ModelRow, options: LoadOptions) -> Need:
        """Of a model that serves many requests at once: what it is loaded for, whoever asks."""
        setup = self.chat_setup(row, options)
        engine = setup.choice.engine.value if setup.choice.engine is not None else ""
        dtype, spread, work = (
            dtype_of(row.dtype, self._half(options), options),
            self._spread(engine, options),
            setup.work,
        )
        held, sized = self._chat_parts(row, options, setup)
        changed = "".join(f" {name} {held[name]}" for name in HELD if held[name] != "none")
        changed += f" +{len(setup.loras)}" if setup.loras else ""
        subject = Subject(row.id, self._kind, f"{engine} {dtype} x{spread}{changed}")
        chosen = engine_options(setup, row.task, dtype, sized, options, self._allowed(options), spread)
        if self._settings.threads:
            chosen["threads"] = self._settings.threads
        amount = _amount(work, 1, 1)
        return self._need(row, options, subject, dtype, work, held, sized, engine, tuple(chosen.items()), amount)

    def told(self, row: ModelRow) -> Told:
        """Reads small files the first time."""
        most = max((device.budget_bytes for device in self._devices), default=0)
        needed = self.need(row).spec.bytes_needed
        if needed <= most or row.task not in SMALLEST:
            return Told(needed)
        usual = self.options_of(row).model_dump(exclude_unset=True)
        offloads = self._kind != "cpu" and self.host_holds(self.anatomy_of(row), self._half(LoadOptions()) or "float32")
        changes = [change for change in SMALLEST[row.task] if offloads or "offload" not in change]
        ways = (LoadOptions(**{**usual, **change}) for change in changes)
        return Told(needed, any(self.need(row, options=one).spec.bytes_needed <= most for one in ways))

    def host_holds(self, anatomy: Anatomy, dtype: str) -> bool:
        """Whether the machine's memory has room for a model that is moved to a GPU part by part."""
        return anatomy.parameters * TYPE_BYTES[dtype] <= HOST_SHARE * self.host_bytes

    def chat_setup(self, row: ModelRow, options: LoadOptions | None = None) -> ChatSetup:
        """How a chat or embedding model is run here. Reads small files the first time."""
        options = options or self.options_of(row)
        anatomy, path = self.anatomy_of(row), path_of(row)
        preset = preset_of(path, row.family, sees=anatomy.sees)
        choice = self.chat_engines.of(row.task, options.chat_engine)
        loras = self.loras.of(row, options.loras) if options.loras and self.adapts(choice.engine) else ()
        setup = setup_of((row.key, row.repo or ""), anatomy, options, preset, choice, loras)
        fits = partial(self._chat_fits, row, options)
        usual = that_fits(setup_of(setup.names, anatomy, LoadOptions(), preset, choice), LoadOptions(), fits)
        return replace(that_fits(setup, options, fits), usual_work=usual.work)

    def _chat_fits(self, row: ModelRow, options: LoadOptions, setup: ChatSetup) -> bool:
        """Whether it fits devices that are empty, by the formulas alone: what was measured must not change how a model
        is loaded, or its next request would find another worker."""
        spread = self._spread(setup.choice.engine or "", options)
        room = sorted(device.budget_bytes for device in self._allowed(options))
        return len(room) >= spread and learned(self._chat_parts(row, options, setup)[1], ()).high <= room[-spread]

    def _chat_parts(self, row: ModelRow, options: LoadOptions, setup: ChatSetup) -> tuple[dict[str, str], Parts]:
        """How it is held, and what it takes."""
        engine, anatomy = setup.choice.engine, self.anatomy_of(row)
        held = held_as(engine, anatomy, options) | {"engine": engine.value if engine is not None else ""}
        dtype, spread = dtype_of(row.dtype, self._half(options), options), self._spread(engine or "", options)
        sized = parts(anatomy, setup.work, kind=self._kind, dtype=dtype, devices=spread, **held)
        return held, replace(sized, weights=sized.weights + sum(one.size_bytes for one in setup.loras))

    def _allowed(self, options: LoadOptions) -> list[Device]:
        return [d for d in self._devices if not options.gpu_device_ids or d.index in options.gpu_device_ids]

    def _half(self, options: LoadOptions) -> str | None:
        """The half precision of the GPUs that may be used: bfloat16, but float16 before Ampere. None without GPUs."""
        if self._kind == "cpu":
            return None
        known = [device.capability for device in self._allowed(options) if device.capability is not None]
        return "float16" if min(known, default=AMPERE) < AMPERE else "bfloat16"

    @staticmethod
    def adapts(engine: str | None) -> bool:
        """Whether an engine loads LoRAs of chat models."""
        return engine in ABILITIES and ABILITIES[EngineName(engine)].adapts

    def _spread(self, engine: str, options: LoadOptions) -> int:
        spreads = engine in ENGINES and ENGINES[EngineName(engine)].spreads
        return len(options.gpu_device_ids) if options.gpu_device_ids and spreads else 1

    def _need(
        self,
        row: ModelRow,
        options: LoadOptions,
        subject: Subject,
        dtype: str,
        work: Work,
        held: Mapping[str, str],
        sized: Parts,
        engine: str,
        chosen: tuple[tuple[str, Any], ...],
        amount: float,
    ) -> Need:
        band = self.learning.bytes(subject, sized)
        if outlined := self._outlines.get(row):
            band = band.wider(outlined[1])
        load = self.learning.load_seconds(subject)
        devices = tuple(options.gpu_device_ids or ())
        spec = WorkerSpec(
            engine=engine,
            model=row.key,
            model_path=path_of(row),
            options=chosen,
            bytes_needed=self._leased(band),
            devices=devices,
            spread=self._spread(engine, options),
            pinned=row.pinned,
            ttl_seconds=ttl_of(options),
            load_seconds=load.expected if load else None,
            owner="" if row.shared is not False else row.owner_id,
            host_bytes=self._on_host(self.anatomy_of(row), dtype, held),
        )
        anatomy, run = self.anatomy_of(row), self.learning.run_seconds(subject, amount)
        return Need(spec, subject, anatomy, dtype, work, held, sized, band, amount, load, run)

    def _on_host(self, anatomy: Anatomy, dtype: str, held: Mapping[str, str]) -> int:
        """What an offloaded model has in the machine's memory: all of it, part of the time."""
        is_offloaded = self._kind != "cpu" and held.get("offload", "none") != "none"
        return int(anatomy.parameters * TYPE_BYTES[dtype]) if is_offloaded else 0

    def engine_of(self, row: ModelRow) -> str:
        """Which engine runs a model; empty while none does."""
        if row.task in CHAT_TASKS:
            return self.chat_engines.of(row.task, self.options_of(row).chat_engine).engine or ""
        return "fake" if self._settings.fake_engine and row.engine else row.engine

    def outline(self, row: ModelRow, anatomy: Anatomy, doubt: float) -> None:
        """`row` is of a model that is not here, of which this is known; estimates may be off by this share besides."""
        self._outlines[row] = anatomy, doubt

    def anatomy_of(self, row: ModelRow) -> Anatomy:
        if outlined := self._outlines.get(row):
            return outlined[0]
        bits = DTYPE_BITS.get(row.dtype, 16)
        count = row.parameters or row.size_bytes * 8 // bits
        if lender := self.lending.lender(row, self.options_of(row).parts_from):
            count += lent_parameters(lender, lacking(row))
        return read_anatomy(path_of(row), task=row.task, parameters=count, stored_bits=bits)

    def usual_work(self, row: ModelRow) -> Work:
        if row.task in ("image", "video"):
            side = row.defaults or {}
            return Work(side.get("width", 512), side.get("height", 512))
        return self.chat_setup(row).work if row.task in CHAT_TASKS else Work()

    def options_of(self, row: ModelRow) -> LoadOptions:
        """What the model is loaded with: as by hand until it is unloaded, else as its row says."""
        return self._by_hand.get(row.id) or LoadOptions(**{**self._by_settings(row), **(row.load_options or {})})

    def _by_settings(self, row: ModelRow) -> dict[str, Any]:
        """What the server's settings say of the one model that they name."""
        named = self._settings.tuned_model
        return dict(self._settings.tuned_options) if named and named in (row.key, row.repo) else {}

    def load_with(self, row: ModelRow, options: LoadOptions | None) -> None:
        """Use these options until they are taken back with None."""
        if options is None:
            self._by_hand.pop(row.id, None)
        else:
            self._by_hand[row.id] = options

    def goes_without(self, row: ModelRow, need: Need, options: LoadOptions) -> list[Said]:
        """Load options that it could not have the last time; before the first, those of which that is known."""
        if (seen := self._lacked.get(need.spec.key)) is not None:
            return list(seen)
        if row.task not in CHAT_TASKS:
            by_cpu = options.offload not in (None, "none") and self._kind == "cpu"
            return [left_out(LeftOut(option=f"offload: {options.offload}", why="cpu"))] if by_cpu else []
        engine = self.chat_engines.of(row.task, options.chat_engine).engine
        return [left_out(one) for one in goes_without(engine, self._kind, need.anatomy, options)]

    def upscaler_spec(self, row: ModelRow, file: Path, pixels: int) -> WorkerSpec:
        """A worker that holds an upscaler alone, for a result of so many pixels. Looks at the disk."""
        needed = FRAMEWORK_BYTES[self._kind] + self.upscaler_bytes(file, pixels)
        options = self._engine_options(LoadOptions())
        engine = "fake" if self._settings.fake_engine else "diffusers_image"
        return WorkerSpec(engine, row.key, file, options, bytes_needed=needed, pinned=row.pinned)

    def upscaler_bytes(self, file: Path, pixels: int) -> int:
        return upscaler_bytes(file.stat().st_size if file.is_file() else 0, pixels, self._kind)

    # ── after ──

    def note_load(self, need: Need, worker: Worker) -> None:
        """Once for each worker, when it is first used."""
        if worker in self._largest or worker.loaded is None:
            return
        self._largest[worker] = 0
        self._lacked[worker.spec.key] = worker.info.left_out
        reserves = need.spec.engine in ABILITIES and ABILITIES[EngineName(need.spec.engine)].reserves
        size = need.parts.moving if reserves else 0
        # The parts of an offloaded model come with its first run: its load says nothing of the device's memory.
        comes_later = need.held.get("offload", "none") != "none" and self._kind != "cpu"
        peak = need.parts.fixed if comes_later else self._peak(worker.load_peak_bytes, need.parts.fixed + size)
        self.learning.note(need.subject, Measured("load", size, 1.0, peak, round(worker.load_seconds, 3)))

    def shares(self, row: ModelRow) -> bool:
        """Whether requests of several people may be made together with this model."""
        chosen = self.options_of(row).share_batches
        return self._settings.share_batches if chosen is None else chosen == "auto"

    def note_run(self, need: Need, worker: Worker, done: protocol.Done | protocol.BatchDone) -> None:
        """What the run took. After a larger one the worker's memory still shows that one, and its peak says nothing.
        How long several took together says nothing of one."""
        size = need.parts.moving
        larger_before = self._largest.get(worker, 0) > size
        self._largest[worker] = max(size, self._largest.get(worker, 0))
        if not larger_before:
            peak = self._peak(done.peak_bytes, need.parts.total)
            seconds = 0.0 if isinstance(done, protocol.BatchDone) else done.seconds
            self.learning.note(need.subject, Measured("run", size, need.amount, peak, seconds))

    def note_out_of_memory(self, need: Need, worker: Worker | None) -> None:
        """It had so many bytes, and they were not enough."""
        had = max(need.spec.bytes_needed, worker.leased if worker else 0)
        self.learning.note(need.subject, Measured("oom", need.parts.moving, need.amount, had, 0.0))

    def note_failed_start(self, need: Need, error: WorkerStartFailed) -> bool:
        """Whether a worker did not start because memory ran out. That raises the estimate, once for all who waited for
        this start and got the same error."""
        if error.out_of_memory and error not in self._heard:
            self._heard.add(error)
            self.note_out_of_memory(need, None)
        return error.out_of_memory

    def higher(self, need: Need) -> Need:
        """The same once more, by what has been learned since."""
        band = self.learning.bytes(need.subject, need.parts)
        return replace(need, bytes=band, spec=replace(need.spec, bytes_needed=self._leased(band)))

    # ── inside ──

    def _peak(self, measured: int, by_formula: int) -> int:
        """What is learned. The fake engine holds no weights: its memory says nothing of the model's."""
        return by_formula if self._settings.fake_engine else measured

    def _leased(self, band: Band) -> int:
        """The high end, but no more than the largest device has, as long as the work is likely to fit there."""
        most = max((device.budget_bytes for device in self._devices), default=0)
        return math.ceil(min(band.high, most) if band.expected <= most else band.high)

    def _engine_options(self, options: LoadOptions) -> tuple[tuple[str, Any], ...]:
        chosen: dict[str, Any] = {"dtype": options.dtype, "batch": options.batch}
        chosen |= {name: getattr(options, name) for name in SPEED}
        if self._settings.threads:
            chosen["threads"] = self._settings.threads
        if self._settings.fake_engine:
            chosen["step_seconds"] = self._settings.fake_step_seconds
        return tuple((name, value) for name, value in chosen.items() if value is not None)


def check_devices(named: Sequence[int], there: Sequence[int]) -> None:
    """Raises BadRequest for a device that this machine does not have."""
    for index in named:
        if index not in there:
            exist = ", ".join(map(str, there))
            raise BadRequest(
                Said(f"There is no device {index}; these exist: {exist}.", "device.unknown", device=index, exist=exist),
                field="gpu_device_ids",
                hint="GET /api/system lists them.",
            )


def ttl_of(options: LoadOptions) -> float | None:
    """As `WorkerSpec.ttl_seconds`: None where nobody said, 0 for ever."""
    if "ttl_seconds" not in options.model_fields_set:
        return None
    return options.ttl_seconds or 0.0


def _amount(work: Work, steps: int, outputs: int) -> float:
    """How much work it is, for forecasts of time: megapixels times steps, or thousands of tokens."""
    if work.width:
        return work.width * work.height * work.frames / 1e6 * steps * outputs
    return work.context * work.batch / 1e3
