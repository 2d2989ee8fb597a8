"""G8, and what encoding costs the thread that makes pictures: the image engine alone.

    python -m bench.image_engine

G8: the time of a picture whose prompt was encoded before, of one whose prompt is new: the same engine, a tiny random
pipeline, 8 steps at 16 x 16 pixels, in turns; medians, of the CPU time of the one thread that does it (wall time beside
it). Encoding: the CPU time of the generating thread for eight pictures of the shipped model, 256 x 256 and 2 steps, as
PNG with thumbnails and recipes, of the same eight with nothing written at all; the least of the rounds. Encoders are
threads of their own: what they take, the generating thread must not. What it would come to on that thread is "writing
by itself".
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import image_side
from bench.measuring import Goal, Report, options_for, run_side


def main() -> int:
    parser = options_for(__doc__, rounds=9)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.python_of(options.image_env)
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        models, which = image_side.model_folder(python, Path(scratch))
        tiny = image_side.tiny_pipeline(python, Path(scratch) / "tiny")
        paths = (str(tiny), str(models / "creatures"))
        found = run_side("bench.image_engine_inside", *paths, str(options.rounds), python=python, OMP_NUM_THREADS="1")
    report = Report("image_engine")
    for name, seconds in found.items():
        report.row(name, ms=seconds * 1000)
    repeat, encode = found["repeated"] / found["new"], found["written"] / found["unwritten"]
    report.notes = [f"{options.rounds} rounds; encoding: {which}"]
    report.goals = [
        Goal("G8", "a repeated prompt's picture, of a new one's", repeat, 0.85),
        Goal("", "CPU of the generating thread with PNG, of without", encode, 1.05),
    ]
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
