"""G8, and what encoding costs the thread that makes pictures: the image engine alone, on a tiny random pipeline.

    python -m bench.image_engine

G8: the wall time of a picture whose prompt was encoded before, of one whose prompt is new: the same engine, the same
task, 8 steps at 16 x 16 pixels, in turns; medians. Encoding: the CPU time of the generating thread for eight pictures
of 256 x 256 as PNG with thumbnails and recipes, of the same eight with nothing written at all; the least of the rounds.
Encoders are threads of their own: what they take, the generating thread must not wait for, but for the last picture.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import image_side
from bench.measuring import BACKEND, Goal, Report, clean_environment, options_for, run_side


def main() -> int:
    parser = options_for(__doc__, rounds=9)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.environment_folder(options.image_env) / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        script = BACKEND / "tests" / "engines" / "tiny_models.py"
        subprocess.run([str(python), str(script), scratch], check=True, env=clean_environment(), capture_output=True)
        model = str(Path(scratch) / "tiny-sd")
        found = run_side("bench.image_engine_inside", model, str(options.rounds), python=python, OMP_NUM_THREADS="1")
    report = Report("image_engine")
    for name, seconds in found.items():
        report.row(name, ms=seconds * 1000)
    repeat, encode = found["repeated"] / found["new"], found["written"] / found["unwritten"]
    report.notes = [f"{options.rounds} rounds"]
    report.goals = [
        Goal("G8", "a repeated prompt's picture, of a new one's", repeat, 0.85),
        Goal("", "CPU of the generating thread with PNG, of without", encode, 1.05),
    ]
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
