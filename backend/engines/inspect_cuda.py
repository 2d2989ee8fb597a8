"""What CUDA looks like from inside an environment: one line of JSON, then the end. The server asks it once.

python -m engines.inspect_cuda
{"cuda_available": true, "cuda_runtime": "12.8", "cudnn": "9.10.2", "devices": 1, "error": null}
"""

from __future__ import annotations

import json
from typing import Any


def inspect() -> dict[str, Any]:
    """Never raises: an environment whose torch cannot be imported says so."""
    answer: dict[str, Any] = {"cuda_available": False, "cuda_runtime": None, "cudnn": None, "devices": 0, "error": None}
    try:
        import torch

        answer["cuda_runtime"] = torch.version.cuda
        number = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
        answer["cudnn"] = _dotted(number) if number else None
        if torch.version.cuda:
            torch.cuda.init()  # is_available() alone keeps the reason to itself
            answer["devices"] = torch.cuda.device_count()
            answer["cuda_available"] = answer["devices"] > 0
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"[:500]
    return answer


def _dotted(number: int) -> str:
    """cuDNN 9 counts 91002 for 9.10.2, cuDNN 8 counted 8907 for 8.9.7."""
    major, rest = divmod(number, 10_000 if number >= 90_000 else 1_000)
    return f"{major}.{rest // 100}.{rest % 100}"


if __name__ == "__main__":
    print(json.dumps(inspect()))
