"""Putting a worker's weights aside and bringing them back, with the ledger told at every step.

    idle ──put_aside──> parking ──Parked──> parked ──bring_back──> starting ──Awake──> idle
                           └── the engine cannot ──> the worker is ended       └── no room ──> the worker is ended

What parking leaves is the engine's to say. On CUDA the weights go to the host's memory and count against its budget;
the driver's context stays on the device. On the CPU the device is the host's memory: the process, the libraries and the
tokenizers stay and count, the weights are read from their files again.
"""

from __future__ import annotations

from collections.abc import Callable

from engines import protocol

from atelier.errors import Conflict
from atelier.runtime import exits
from atelier.runtime.exits import WorkerLost
from atelier.runtime.ledger import Ledger, Slot
from atelier.runtime.placement import Use
from atelier.runtime.waiting import DOING, gigabytes
from atelier.said import Said


def check_parkable(slot: Slot, ledger: Ledger) -> None:
    """Raises Conflict where a worker cannot be parked now, saying why."""
    model, doing = slot.worker.spec.model, DOING[slot.use]
    if slot.use is not Use.IDLE:
        words = f"{model} is {doing} and cannot be parked now."
        raise Conflict(Said(words, "parking.not_idle", model=model, doing=doing), hint="Wait for its run to end.")
    if not slot.can_park:
        words = f"The engine {slot.worker.spec.engine} cannot park {model}."
        raise Conflict(Said(words, "parking.cannot", model=model), hint="Unload it, which frees all that it has.")
    if slot.host_bytes > (room := max(0, ledger.host_room())):
        raise Conflict(
            Said(
                f"Its weights take {gigabytes(slot.host_bytes)} of the machine's memory; {gigabytes(room)} are "
                "left for parked models.",
                "parking.no_room",
                bytes=slot.host_bytes,
                room=room,
            ),
            hint="Unload another parked model, or raise ATELIER_PARK_BUDGET.",
        )


async def put_aside(slot: Slot, ledger: Ledger, changed: Callable[[], None]) -> None:
    """Park an idle worker. Its bytes count in full until it has said what it keeps and the device has it back."""
    free = ledger.free()
    slot.parking = True
    try:
        parked = await slot.worker.park()
        if parked is None:
            slot.worker.begin_stop(exits.not_parked())
        else:
            await _memory_back(slot, ledger, free, parked)
            slot.rest_bytes, slot.worker.host_bytes = parked.rest_bytes, parked.host_bytes
            slot.parked = True
    except WorkerLost:
        pass  # it ended meanwhile; whoever follows the worker clears it away
    finally:
        slot.parking = False
        changed()


async def bring_back(slot: Slot, clock: Callable[[], float], changed: Callable[[], None]) -> None:
    """Wake a parked worker whose bytes are leased again already."""
    slot.waking, slot.parked = True, False
    try:
        failed = await slot.worker.wake()
        if failed is not None:
            slot.worker.begin_stop(exits.not_woken(failed.message))
    except WorkerLost:
        pass  # as above
    finally:
        slot.waking = False
        slot.worker.host_bytes = 0
        slot.idle_at = clock()
        changed()


async def _memory_back(slot: Slot, ledger: Ledger, free: dict[int, int], parked: protocol.Parked) -> None:
    """As after a stop: the device is asked until it shows the memory that was given back."""
    gone = max(0, slot.worker.loaded.load_peak_bytes - parked.rest_bytes) if slot.worker.loaded else 0
    await ledger.memory_back(slot, {index: bytes_ + gone for index, bytes_ in free.items()})
