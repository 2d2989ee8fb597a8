"""G11: loading a model beside reading its files.

    python -m bench.model_load

A pipeline with the denoiser of Stable Diffusion 1.5 (860 million parameters) in half precision, page cache warm, one
thread, on the CPU: `DiffusersImage` from its folder to the last weight, beside `safetensors.torch.load_file` of the same
files and the conversion to float32 that a CPU needs. Both read every page of what they made. Taking turns in one
process that has the libraries imported, as a worker has when it is forked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import image_side
from bench.measuring import BACKEND, MIB, Goal, Report, clean_environment, least, middle, options_for


def main() -> int:
    parser = options_for(__doc__, rounds=9)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.environment_folder(options.image_env) / "bin" / "python"
    report = Report("model_load")
    env = {**clean_environment(), "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        command = [str(python), "-m", "bench.model_load_inside", str(Path(scratch) / "model"), str(options.rounds)]
        output = subprocess.run(command, check=True, env=env, cwd=BACKEND, stdout=subprocess.PIPE).stdout
    found = json.loads(output.splitlines()[-1])
    for name, side in found.items():
        report.row(
            name,
            **{"wall s": middle(side, "wall"), "CPU s": least(side, "cpu"), "MiB": middle(side, "bytes") / MIB},
        )
    ours, plain = found["atelier"], found["load_file"]
    report.goals = [Goal("G11", "CPU of a load, of load_file", least(ours, "cpu") / least(plain, "cpu"), 1.1)]
    report.notes.append(f"wall, least of each: {least(ours, 'wall') / least(plain, 'wall'):.2f}")
    return report.finish(options)


if __name__ == "__main__":
    sys.exit(main())
