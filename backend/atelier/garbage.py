"""Python's cyclic garbage collector, set for a server that has loaded what it needs.

As it comes, it looks through young objects every 700 allocations, and from time to time through every module and schema
there is: a quarter of the CPU time of a busy queue.
"""

from __future__ import annotations

import ctypes
import gc

YOUNG_OBJECTS = 20_000


def wait() -> None:
    """Call before anything is loaded: an eighth of a start would go into looking through what stays anyway."""
    gc.disable()


def settle() -> None:
    """Call once what stays is loaded: that is never looked through again, what comes later less often. (Nor is it
    looked through now: that takes a tenth of a second and finds some two thousand small objects.)"""
    gc.freeze()
    _give_back()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    gc.enable()


def _give_back() -> None:
    """What starting took and let go of goes back to the machine (some 3 MiB), where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
