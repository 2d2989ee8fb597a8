"""The device's memory: what a run took, what is said when there was too little, and how weights step aside."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import torch

from engines.engine import RunFailed
from engines.image_families import weighty
from engines.image_options import Source
from engines.lifeline import memory_bytes
from engines.measured import give_back
from engines.protocol import Parked

CUDA_CONTEXT_BYTES = 512 * 1024**2
"""What the driver and the libraries take of a GPU beside PyTorch's allocator: 0.4 to 0.6 GB on recent cards."""


def peak_bytes(device: str) -> int:
    """Of the GPU's memory; 0 on the CPU, where the host looks itself. What the allocator keeps beyond what it gave out
    is not counted: it is left from earlier runs, and taken back when memory is short."""
    return CUDA_CONTEXT_BYTES + torch.cuda.max_memory_allocated() if device == "cuda" else 0


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextlib.contextmanager
def measured_run(device: str) -> Iterator[None]:
    """Around a run: the peak starts anew, too little memory is said as RunFailed, and what broke off is given back."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(
            "out_of_memory", "the pictures do not fit into memory", "Ask for a smaller size or fewer at once."
        ) from error
    finally:
        if device == "cuda" and sys.exception() is not None:
            torch.cuda.empty_cache()


def put_aside(pipe: Any, device: str, weights_bytes: int) -> Parked:
    """Free the device. On CUDA the weights move to the host's memory and come back over the bus. On the CPU the device
    *is* the host's memory, so the weights are let go, and read again from their files, which the kernel's page cache
    holds as long as nobody needs that memory more."""
    if device == "cuda":
        pipe.maybe_free_model_hooks() if getattr(pipe, "_all_hooks", None) else pipe.to("cpu")
        give_back()
        torch.cuda.empty_cache()
        return Parked(rest_bytes=CUDA_CONTEXT_BYTES + torch.cuda.memory_reserved(), host_bytes=weights_bytes)
    for name in weighty(pipe):
        setattr(pipe, name, None)
    give_back()
    return Parked(rest_bytes=memory_bytes()[1], host_bytes=0)


def brought_back(pipe: Any, device: str, source: Source, own_scheduler: Any) -> Any:
    """The pipeline with its weights on the device again: the same, or on the CPU a new one. Raises what torch raises
    when the device is full."""
    if device == "cuda":
        return pipe if source.offloads else pipe.to(source.device)  # offloaded parts come when they are needed
    kept = {name: part for name, part in pipe.components.items() if part is not None and name != "scheduler"}
    again = source.pipeline(**kept, scheduler=own_scheduler)
    again.set_progress_bar_config(disable=True)
    return again


def no_room_to_wake() -> RunFailed:
    return RunFailed("out_of_memory", "the weights do not fit back into the device's memory", "Stop another worker.")
