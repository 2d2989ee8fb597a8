"""What the image environment says of its CUDA, with the real torch."""

from __future__ import annotations

import json
import subprocess
import sys

import torch
from engines.inspect_cuda import _dotted, inspect


class TestInspect:
    def test_says_what_torch_says(self) -> None:
        command = [sys.executable, "-m", "engines.inspect_cuda"]
        said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert said["cuda_runtime"] == torch.version.cuda and said["cuda_available"] == torch.cuda.is_available()
        assert said["error"] is None and said["devices"] == torch.cuda.device_count()

    def test_a_torch_that_cannot_be_imported_is_no_crash(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        assert "ImportError" in inspect()["error"] or "ModuleNotFoundError" in inspect()["error"]

    def test_versions_of_cudnn(self) -> None:
        assert (_dotted(91002), _dotted(8907), _dotted(90100)) == ("9.10.2", "8.9.7", "9.1.0")
