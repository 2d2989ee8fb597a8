"""Who waits for a worker: each call of `lease` that has none yet, and what it is told meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from atelier.errors import NotEnoughMemory
from atelier.runtime import decisions, placement
from atelier.runtime.engines import on_device
from atelier.runtime.ledger import Ledger, Slot
from atelier.runtime.placement import Use
from atelier.runtime.spec import WorkerSpec
from atelier.runtime.waiting import Waiting, Worth, gigabytes, look_ahead
from atelier.said import Said


@dataclass(eq=False)
class Asker:
    """One call of `lease` that waits."""

    id: str
    spec: WorkerSpec
    seq: int
    priority: int
    granted: asyncio.Future[Slot]
    waiting: Callable[[Waiting], None] | None
    run_seconds: float | None = None
    overtaken: int = 0
    told: Waiting | None = None

    def tell(self, what: Waiting) -> None:
        if self.waiting is not None and what.differs(self.told):
            self.told = what
            self.waiting(what)


class Line:
    """Everybody who waits, by the id of their request. Knows how long each model took to load, for the forecasts."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger, self._clock = ledger, clock
        self._load_seconds: dict[str, float] = {}
        self._wanted: set[str] = set()
        self.askers: dict[str, Asker] = {}

    def requests(self) -> list[decisions.Request]:
        return [
            decisions.Request(
                a.id, a.spec.key, a.spec.bytes_needed, a.seq, a.priority, a.overtaken, a.spec.spread, a.spec.devices
            )
            for a in self._waiting()
            if on_device(a.spec.engine)
        ]

    def without_device(self) -> list[Asker]:
        """Those who want an engine that takes no device memory."""
        return [asker for asker in self._waiting() if not on_device(asker.spec.engine)]

    def _waiting(self) -> list[Asker]:
        """Those who were not served yet, and are not about to hear that what they joined could not start."""
        failing = {slot.worker.spec.key for slot in self._ledger if slot.worker.failed_to_start and not slot.mourned}
        return [a for a in self.askers.values() if not a.granted.done() and a.spec.key not in failing]

    def serves(self, served: Asker) -> None:
        """Those who came earlier were overtaken."""
        for asker in self.askers.values():
            if asker.seq < served.seq and on_device(served.spec.engine):
                asker.overtaken += 1

    def loaded(self, spec: WorkerSpec, seconds: float) -> None:
        self._load_seconds[spec.key] = seconds

    def loads_in(self, spec: WorkerSpec) -> float | None:
        return self._load_seconds.get(spec.key, spec.load_seconds)

    def tell(self, made: Sequence[decisions.Decision]) -> None:
        """Tell those who are held what they wait for, at which place, for how long."""
        moment = self._clock()
        workers = {
            id_: Worth(
                slot.worker.spec, slot.use, slot.bytes, slot.left(moment, self.loads_in(slot.worker.spec)), slot.pinned
            )
            for id_, slot in self._ledger.slots.items()
        }
        for decision in made:
            if isinstance(decision, decisions.Stop | decisions.Park):
                use = Use.LEAVING if isinstance(decision, decisions.Stop) else Use.PARKING
                workers[decision.worker] = replace(workers[decision.worker], use=use)
        asked = {a.id: (a.spec, self.loads_in(a.spec), a.run_seconds) for a in self.askers.values()}
        for request, what in look_ahead(made, asked, workers).items():
            self.askers[request].tell(what)
        self._wanted = set().union(*(self._waited_for(d) for d in made if isinstance(d, decisions.Hold)))
        self.tell_holders()

    def forget_wishes(self) -> None:
        """Nobody waits any more."""
        if self._wanted:
            self._wanted = set()
            self.tell_holders()

    def tell_holders(self) -> None:
        """Tell each holder that listens whether somebody waits for what it holds."""
        for slot in self._ledger:
            wanted = slot.worker.id in self._wanted
            if slot.hears is not None and wanted != slot.wanted:
                slot.wanted = wanted
                slot.hears(wanted)

    def _waited_for(self, hold: decisions.Hold) -> set[str]:
        """The workers in the way of one who is held: that runs the same model, or has the memory. Who was overtaken
        too often waits for everything on the devices that are kept for it."""
        if hold.turn is not None:
            return {hold.turn}
        match hold.plan:
            case placement.Wait(devices, named):
                pass
            case placement.Yield(devices, named, _):
                pass
            case _:
                return set()
        asker = self.askers.get(hold.request)
        if asker is not None and asker.overtaken >= decisions.PATIENCE:
            here = set(devices)
            return set(named) | {slot.worker.id for slot in self._ledger if here & set(slot.worker.devices)}
        return set(named)


def never_fits(spec: WorkerSpec, impossible: placement.Impossible) -> NotEnoughMemory:
    if impossible.devices < spec.spread:
        return NotEnoughMemory(
            Said(
                f"{spec.model} is to run on {spec.spread} devices, but there are {impossible.devices} it may use.",
                "memory.too_few_devices",
                model=spec.model,
                wanted=spec.spread,
                there=impossible.devices,
            ),
            field="gpu_device_ids",
            hint="Name as many devices as there are, or spread it over fewer.",
        )
    largest = "the largest device" if spec.spread == 1 else f"each of {spec.spread} devices"
    return NotEnoughMemory(
        Said(
            f"{spec.model} needs {gigabytes(spec.bytes_needed)}, but {largest} may give "
            f"{gigabytes(impossible.largest_bytes)}.",
            "memory.never_fits",
            model=spec.model,
            needed=spec.bytes_needed,
            largest=impossible.largest_bytes,
        ),
        hint="Its load options say what would make it small enough. Else choose a smaller model, or raise the memory "
        "budget.",
    )
