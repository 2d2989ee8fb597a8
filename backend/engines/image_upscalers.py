"""Upscalers: networks that enlarge pixels (ESRGAN, SwinIR, HAT, DAT, …), as spandrel reads them from safetensors files.

A picture goes through in tiles, each with a margin of its neighbours around it that is cut off afterwards: memory stays
small, and there are no seams as long as the margin holds what a pixel depends on. Networks with windows see the same
windows in every tile, since tiles begin at multiples of `MARGIN`.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from engines.engine import RunFailed
from engines.image_memory import is_out_of_memory
from engines.protocol import UpscalerUse
from engines.safetensors_file import read_header
from engines.upscaler_files import pixels_left, upscaler_architecture

TILE = 192
"""Pixels of the small picture on a side, the margin not counted. The server reckons with it (`models.estimate`)."""
MARGIN = 32
BYTES_KEPT = 512 * 1024**2
"""Of upscalers that nobody uses just now."""
MOST_ROUNDS = 3
"""So often a picture goes through, where once does not make it large enough."""

_TORCHVISION = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


class Upscalers:
    """Those that were read, the latest used last. `between` is called before each tile: it may raise RunCancelled."""

    def __init__(self, device: str, bytes_kept: int = BYTES_KEPT) -> None:
        self._device, self._bytes_kept = device, bytes_kept
        self._read: OrderedDict[tuple[str, str], Any] = OrderedDict()

    @property
    def bytes(self) -> int:
        return sum(held_bytes(network) for network in self._read.values())

    def forget(self) -> None:
        self._read.clear()

    def enlarged(
        self, image: Image.Image, use: UpscalerUse, size: tuple[int, int], between: Callable[[], None]
    ) -> Image.Image:
        """The picture as large as `size` or larger, by the network's own scale as often as that takes. One that would
        become too large is made smaller before. Raises RunFailed."""
        network = self.network(use)
        for _ in range(MOST_ROUNDS):
            image = enlarged_once(_bounded(image, network.scale, size), network, between)
            if network.scale < 2 or (image.width >= size[0] and image.height >= size[1]):
                break
        return image

    def network(self, use: UpscalerUse) -> Any:
        """Raises RunFailed for a file that is gone, damaged or no upscaler."""
        key = (use.path, use.sha256)
        if key not in self._read:
            self._read[key] = read_upscaler(use, self._device)
        self._read.move_to_end(key)
        while self.bytes > self._bytes_kept and len(self._read) > 1:
            self._read.popitem(last=False)
        return self._read[key]


def _bounded(image: Image.Image, scale: int, size: tuple[int, int]) -> Image.Image:
    most = pixels_left(size[0] * size[1]) // scale**2
    if image.width * image.height <= most:
        return image
    less = math.sqrt(most / (image.width * image.height))
    # A side is one pixel at least: of a picture that thin, the other side pays.
    width = max(1, int(image.width * less))
    height = max(1, min(int(image.height * less), most // width))
    return image.resize((min(width, most // height), height), Image.Resampling.LANCZOS)


def enlarged_once(image: Image.Image, network: Any, between: Callable[[], None], tile: int = TILE) -> Image.Image:
    """The picture `network.scale` times as large. Tiles that memory does not hold are halved, down to `MARGIN`."""
    if network.tiling.name == "INTERNAL":
        tile = max(image.size)
    while True:
        try:
            return _in_tiles(image, network, between, tile)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if tile <= MARGIN or not is_out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        tile = min(tile, max(image.size)) // 2 // MARGIN * MARGIN or MARGIN


def _in_tiles(image: Image.Image, network: Any, between: Callable[[], None], tile: int) -> Image.Image:
    scale, pixels = network.scale, np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    whole = np.empty((height * scale, width * scale, 3), np.uint8)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            between()
            bottom, right = min(top + tile, height), min(left + tile, width)
            above, before = max(0, top - MARGIN), max(0, left - MARGIN)
            part = pixels[above : min(height, bottom + MARGIN), before : min(width, right + MARGIN)]
            made = _through(network, part)
            y, x = (top - above) * scale, (left - before) * scale
            down, across = (bottom - top) * scale, (right - left) * scale
            whole[top * scale : bottom * scale, left * scale : right * scale] = made[y : y + down, x : x + across]
    return Image.fromarray(whole)


def _through(network: Any, part: np.ndarray) -> np.ndarray:
    """[height, width, 3] levels of 255, through the network."""
    levels = torch.from_numpy(part.copy()).to(network.device, network.dtype) / 255
    made = network(levels.permute(2, 0, 1).unsqueeze(0))
    return (made[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


# ── reading ───────────────────────────────────────────────────────────────────


def read_upscaler(use: UpscalerUse, device: str) -> Any:
    """spandrel's descriptor, ready to be called: float32 on the CPU, on a GPU half where the network allows it. Raises
    RunFailed."""
    path = Path(use.path)
    if path.suffix != ".safetensors":
        raise RunFailed(
            "invalid_upscaler",
            f"the upscaler {use.key!r} is no safetensors file",
            "Convert it to safetensors, or take one that is published so.",
            sentence="upscaler_pickle",
            upscaler=use.key,
        )
    try:
        known = upscaler_architecture(read_header(path))
        network = None if known is None else _loaded(path, device)
    except FileNotFoundError as error:
        raise RunFailed(
            "invalid_upscaler",
            f"the file of the upscaler {use.key!r} is gone",
            "Import or download it again.",
            sentence="upscaler_missing",
            upscaler=use.key,
        ) from error
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # whatever a network stumbled over while it was made to fit the file
        raise _unfit(use, (str(error).splitlines() or [type(error).__name__])[0][:200]) from error
    if network is None:
        raise _unfit(use, "no known network has these tensors")
    if network.purpose not in ("SR", "Restoration") or (network.input_channels, network.output_channels) != (3, 3):
        raise _unfit(use, "it does not make coloured pictures of coloured pictures")
    return network


def held_bytes(network: Any) -> int:
    return sum(tensor.nbytes for tensor in (*network.model.parameters(), *network.model.buffers()))


def _loaded(path: Path, device: str) -> Any:
    network = spandrel().ModelLoader(torch.device(device)).load_from_file(path)
    network.eval().model.requires_grad_(False)
    if torch.device(device).type == "cpu":
        return network.float()
    if network.supports_half:
        return network.half()
    return network.bfloat16() if network.supports_bfloat16 else network.float()


def _unfit(use: UpscalerUse, reason: str) -> RunFailed:
    return RunFailed(
        "invalid_upscaler",
        f"the upscaler {use.key!r} cannot be used: {reason}",
        "Take another one.",
        sentence="upscaler_unfit",
        upscaler=use.key,
        reason=reason,
    )


def spandrel() -> ModuleType:
    """The library. It imports torchvision for two networks that enlarge nothing (LaMa, RestoreFormer) and is installed
    without it: what they would take from there stands in while it is imported, and is gone when it is."""
    if "spandrel" in sys.modules:
        return sys.modules["spandrel"]
    with _standing_in():
        return importlib.import_module("spandrel")


@contextlib.contextmanager
def _standing_in() -> Iterator[None]:
    if "torchvision" in sys.modules:
        yield
        return
    modules = {name: ModuleType(name) for name in _TORCHVISION}
    for name in ("InterpolationMode", "rotate", "normalize"):
        setattr(modules[_TORCHVISION[-1]], name, None)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
