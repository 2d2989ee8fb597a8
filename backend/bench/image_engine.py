"""G8, and what encoding costs the thread that makes pictures: the image engine alone.

    python -m bench.image_engine

G8: the time of a picture whose prompt was encoded before, of one whose prompt is new. What there is to gain is the
share of the text encoders, so it is measured where they have a share that somebody has: SDXL Turbo as R1 runs it, one
step without guidance, with all of its layers and narrow ones (`tiny_models.build_turbo_deep`), 64 x 64 pixels; and, as
before, a tiny pipeline of two layers each, 8 steps, 16 x 16 pixels. Beside the engine, in turns with it, a bare
pipeline of diffusers that is given the words, and one that is given their embeddings: the least that can be left.
Medians, of the CPU time of the one thread that does it.

Encoding: the CPU time of the generating thread for eight pictures of the shipped model, 256 x 256 and 2 steps, as PNG
with thumbnails and recipes, of the same eight with nothing written at all; the least of the rounds. Encoders are
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
        scratches = Path(scratch) / "tiny"
        turbo, tiny = (image_side.tiny_pipeline(python, scratches, name) for name in ("turbo_deep", "sd"))
        paths = (str(turbo), str(tiny), str(models / "creatures"))
        found = run_side("bench.image_engine_inside", *paths, str(options.rounds), python=python, OMP_NUM_THREADS="1")
    report = Report("image_engine")
    for name, seconds in found.items():
        report.row(name, ms=seconds * 1000)
    encode = found["written"] / found["unwritten"]
    report.notes = [f"{options.rounds} rounds; encoding: {which}"]
    for name in ("turbo", "tiny"):
        ours, bare = found[f"{name}: repeated"], found[f"{name}: bare, embeddings"]
        least = bare / found[f"{name}: bare, words"]
        report.notes += [
            f"{name}: repeated of new {ours / found[f'{name}: new']:.3f}; a bare pipeline's {least:.3f}; "
            f"the engine's repeated of the bare pipeline's {ours / bare:.3f}"
        ]
    report.goals = [
        Goal("G8", "a repeated prompt's picture, of a new one's", found["turbo: repeated"] / found["turbo: new"], 0.85),
        Goal(
            "",
            "the engine's repeated picture, of a bare pipeline's with embeddings",
            found["turbo: repeated"] / found["turbo: bare, embeddings"],
            1.05,
        ),
        Goal("", "CPU of the generating thread with PNG, of without", encode, 1.05),
    ]
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
