"""What lies in an environment, read from its files: nothing of it is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CUDA_LINE = re.compile(r"""^cuda\b[^=\n]*=\s*['"]([\d.]+)['"]""", re.MULTILINE)
_LOCAL = re.compile(r"\+cu(\d{2,3})(\d)\b")


@dataclass(frozen=True)
class Contents:
    """`packages` by their normalised names. `cuda` says for a package which CUDA it was built for."""

    packages: dict[str, str]
    cuda: dict[str, str]

    @property
    def cuda_runtime(self) -> str | None:
        """The CUDA that its programs bring along: of NVIDIA's own package, else what torch was built for."""
        return self.version_of(r"nvidia-cuda-runtime(-cu\d+)?") or self.cuda.get("torch")

    @property
    def cudnn(self) -> str | None:
        return self.version_of(r"nvidia-cudnn(-cu\d+)?")

    def version_of(self, pattern: str) -> str | None:
        return next((version for name, version in self.packages.items() if re.fullmatch(pattern, name)), None)


def read_contents(environment: Path) -> Contents:
    """Of a virtual environment's folder. Blocks for some milliseconds: call it in a thread."""
    packages = installed(environment)
    cuda = {}
    for name, version in packages.items():
        if built_for := _built_for(environment, name, version):
            cuda[name] = built_for
    return Contents(packages, cuda)


def installed(environment: Path) -> dict[str, str]:
    """Names and versions, from the names of the dist-info folders."""
    found = {}
    for info in environment.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return dict(sorted(found.items()))


def _built_for(environment: Path, name: str, version: str) -> str | None:
    """torch and its family write `cuda = '12.8'` into version.py; others have it in their version: `0.11.0+cu128`."""
    module = name.replace("-", "_")
    for path in environment.glob(f"lib/python*/site-packages/{module}/version.py"):
        if found := _CUDA_LINE.search(path.read_text(encoding="utf-8", errors="replace")):
            return found[1]
    local = _LOCAL.search(version)
    return f"{local[1]}.{local[2]}" if local else None
