"""The server at rest: its memory, the CPU time of its start, and what it imports.

    python -m bench.memory

Each round starts a real server on the same data folder, waits for the first 200 of /health, lets it rest and reads
/proc. The first start, which makes the database, is reported apart and not judged; nor is byte code compiled by then.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.measuring import Goal, Report, WrongAnswer, cpu_seconds, least, memory_of, middle, options_for
from bench.serving import Server

HEAVY = ("torch", "diffusers", "transformers", "numpy", "nemo", "vllm", "PIL")


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--rest", type=float, default=2.0, help="seconds of rest before looking (2)")
    options = parser.parse_args()
    report = Report("memory")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        first = look_at(Path(folder) / "data", options.rest)
        rounds = [look_at(Path(folder) / "data", options.rest) for _ in range(options.rounds)]
    report.row("server, first start", **_figures([first]))
    report.row("server", **_figures(rounds))
    report.goals = [
        Goal("memory", "server at rest, RSS MiB", middle(rounds, "rss"), 130),
        Goal("start", "CPU s to the first answer", least(rounds, "start_cpu"), 1.2),
    ]
    report.notes = [f"none of {', '.join(HEAVY)} is mapped into the server"]
    return report.finish(options)


def look_at(data_dir: Path, rest: float) -> dict[str, float]:
    """One start: CPU and wall seconds to the first answer, memory in MiB and CPU use at rest (share of a core)."""
    with Server(data_dir) as server:
        time.sleep(rest)
        before = cpu_seconds(server.pid)
        time.sleep(rest)
        idle = (cpu_seconds(server.pid) - before) / rest
        mapped = Path(f"/proc/{server.pid}/maps").read_text()
        if found := [name for name in HEAVY if f"/{name}/" in mapped]:
            raise WrongAnswer(f"the server has loaded {', '.join(found)}")
        return {
            "start_cpu": server.ready_cpu,
            "start_wall": server.ready_seconds,
            "idle": idle,
            **memory_of(server.pid),
        }


def _figures(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {
        "RSS MiB": middle(rounds, "rss"),
        "private MiB": middle(rounds, "private"),
        "start CPU s": least(rounds, "start_cpu"),
        "start wall s": middle(rounds, "start_wall"),
        "CPU at rest %": least(rounds, "idle") * 100,
    }


if __name__ == "__main__":
    sys.exit(main())
