"""G11: loading a model beside reading its files.

    python -m bench.model_load

A pipeline with the denoiser of Stable Diffusion 1.5 (860 million parameters) in half precision, page cache warm, one
thread, on the CPU: `DiffusersImage` from its folder to the last weight, beside `safetensors.torch.load_file` of the
same files and the conversion to float32 that a CPU needs. Both read every page of what they made. They take turns,
each in a process that has its libraries imported: ours with the variables of an engine process (huge pages, see
`runtime/variables.py`), the other as Python starts. `load_file` with our variables stands in the table as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from atelier.runtime.variables import engine_environment

from bench import image_side
from bench.measuring import BACKEND, MIB, Goal, Report, clean_environment, least, middle, options_for


class Side:
    """A process that loads the model each time it is asked."""

    def __init__(self, python: Path, folder: Path, what: str, env: dict[str, str]) -> None:
        command = [str(python), "-m", "bench.model_load_inside", str(folder), what]
        self._process = subprocess.Popen(
            command, env=env, cwd=BACKEND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def load(self) -> dict[str, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)


def main() -> int:
    parser = options_for(__doc__, rounds=9)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.python_of(options.image_env)
    report = Report("model_load")
    plain = {**clean_environment(), "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"}
    engine = {**engine_environment(os.environ, "bench", is_servers_own=False), "OMP_NUM_THREADS": "1"}
    found: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        folder = Path(scratch) / "model"
        build = [str(python), "-m", "bench.model_load_inside", str(folder), "build"]
        subprocess.run(build, check=True, env=plain, cwd=BACKEND, stderr=subprocess.DEVNULL)
        sides = {
            "atelier": Side(python, folder, "atelier", engine),
            "load_file": Side(python, folder, "load_file", plain),
            "load_file, huge pages": Side(python, folder, "load_file", engine),
        }
        for number in range(options.rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                found.setdefault(name, []).append(sides[name].load())
        for side in sides.values():
            side.close()
    for name, rounds in found.items():
        report.row(
            name,
            **{"wall s": middle(rounds, "wall"), "CPU s": least(rounds, "cpu"), "MiB": middle(rounds, "bytes") / MIB},
        )
    ours, bare, helped = (found[name] for name in sides)
    report.goals = [Goal("G11", "CPU of a load, of load_file", least(ours, "cpu") / least(bare, "cpu"), 1.1)]
    report.notes.append(f"CPU of a load, of load_file with huge pages: {least(ours, 'cpu') / least(helped, 'cpu'):.2f}")
    report.notes.append(f"wall, least of each: {least(ours, 'wall') / least(bare, 'wall'):.2f}")
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
