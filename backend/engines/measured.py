"""What a piece of work took of the machine's memory, from what the kernel counts. Linux; standard library only.

The kernel keeps the highest resident size of a process (VmHWM in /proc/self/status) and starts anew when a 5 is written
to /proc/self/clear_refs (proc_pid_clear_refs(5)). Of that, pages still shared with the forkserver are not this
worker's: they were there before it and stay after it.
"""

from __future__ import annotations

import ctypes
import gc

from engines.lifeline import memory_bytes


class PeakMemory:
    """The most private memory that this process had since `reset`."""

    def reset(self) -> None:
        try:
            with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:  # a sandbox may forbid it: the peak since the start is the next best thing
            pass

    def read(self) -> int:
        """Bytes; 0 where the kernel does not tell. Costs a walk over the page tables: once a run, not once a step."""
        resident, private = memory_bytes()
        if not resident:
            return 0
        return private + max(0, highest_resident() - resident)


def highest_resident() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def give_back() -> None:
    """Hand freed memory back to the kernel: garbage first, then what the allocator keeps for later."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # a C library other than glibc's
        pass
