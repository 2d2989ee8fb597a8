"""What another LoRA costs, beside loading the model again.

    python -m bench.lora_switch

A pipeline with a denoiser of 210 million parameters in half precision and two LoRAs of rank 16 on all its attention, on
the CPU, page cache warm, one thread. In one process, in turns: loading the model; taking the other of the two LoRAs,
which were both used before; going without one; and reading a LoRA that was put out. A switch costs what the number of
layers costs, a load what their size does: with larger models the share is smaller. Pictures before and after are
compared: the same LoRA must give the same pixels, and none those of the bare model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from atelier.runtime.variables import engine_environment

from bench import image_side
from bench.measuring import BACKEND, Goal, Report, WrongAnswer, least, middle, options_for, run_side


def main() -> int:
    parser = options_for(__doc__, rounds=5)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.python_of(options.image_env)
    report = Report("lora_switch")
    environment = {**engine_environment(os.environ, "bench", is_servers_own=False), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        build = [str(python), "-m", "bench.lora_switch_inside", scratch, "build"]
        subprocess.run(
            build, check=True, env={**environment, "PYTHONPATH": str(BACKEND)}, cwd=BACKEND, stderr=subprocess.DEVNULL
        )
        found = run_side(
            "bench.lora_switch_inside",
            str(Path(scratch)),
            str(options.rounds),
            python=python,
            seconds=900,
            **environment,
        )
    if not found["same"]:
        raise WrongAnswer("a LoRA left a trace in the pictures")
    for name, rounds in found["rounds"].items():
        report.row(name, **{"wall s": middle(rounds, "wall"), "CPU s": least(rounds, "cpu")})
    load = least(found["rounds"]["load"], "cpu")
    switch = least(found["rounds"]["switch"], "cpu")
    report.goals = [Goal("LoRA", "CPU of a switch, of a load", switch / load, 0.05)]
    report.notes.append(f"CPU of reading a LoRA, of a load: {least(found['rounds']['read'], 'cpu') / load:.3f}")
    report.notes.append(f"the LoRAs change {found['layers']} layers; the model has {found['parameters']:,} parameters")
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
