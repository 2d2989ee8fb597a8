"""Rounds that take turns, CPU and memory of processes, tables and result files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

BACKEND = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
MIB = 1024**2


class WrongAnswer(Exception):
    """A side did not do what it was measured for: the figures are worth nothing."""


@dataclass(frozen=True)
class Goal:
    """One promise: `reached` compared with `limit`. `at_most` False means that more is better."""

    id: str
    what: str
    reached: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.reached <= self.limit if self.at_most else self.reached >= self.limit


@dataclass
class Report:
    """What a benchmark found out."""

    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started_load: tuple[float, float, float] = field(default_factory=os.getloadavg)

    def row(self, what: str, **figures: Any) -> None:
        self.rows.append({"what": what, **figures})

    def finish(self, options: argparse.Namespace) -> int:
        """Print, write the results file; the exit status."""
        load = f"load average {self.started_load[0]:.1f} before, {os.getloadavg()[0]:.1f} after"
        print(f"\n{self.name}   ({os.cpu_count()} cores, {load})\n")
        print(table(self.rows))
        for note in self.notes:
            print(f"  {note}")
        print()
        print(table([_goal_row(goal) for goal in self.goals]))
        options.results.mkdir(parents=True, exist_ok=True)
        path = options.results / f"{self.name}.json"
        content = {
            "name": self.name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "cpu": _cpu_name(), "python": platform.python_version()},
            "load_before": self.started_load,
            "load_after": os.getloadavg(),
            "rows": self.rows,
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
            "notes": self.notes,
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        return 0 if options.no_goals or all(goal.met for goal in self.goals) else 1


def _goal_row(goal: Goal) -> dict[str, Any]:
    sign = "≤" if goal.at_most else "≥"
    return {
        "goal": f"{goal.id} {goal.what}",
        "wanted": f"{sign} {goal.limit:g}",
        "reached": goal.reached,
        "": "met" if goal.met else "MISSED",
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns in order of first appearance, figures with three significant digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[*columns], *([_cell(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    lines = []
    for line in cells:
        first, *rest = (
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  " + "   ".join([first, *rest]).rstrip())
    return "\n".join([lines[0], "  " + "   ".join("-" * width for width in widths), *lines[1:]])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def options_for(doc: str | None, *, rounds: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds of each side ({rounds})")
    parser.add_argument("--no-goals", action="store_true", help="exit with 0 although a goal is missed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results file")
    return parser


def take_turns(sides: Mapping[str, Callable[[], dict[str, float]]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Call every side once a round, in random order; the figures of each, by side."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        order = random.sample(list(sides), len(sides))
        for name in order:
            found[name].append(sides[name]())
        print(f"round {number + 1} of {rounds}: {', '.join(order)}", file=sys.stderr, flush=True)
    return found


def least(rounds: Sequence[Mapping[str, float]], figure: str) -> float:
    return min(one[figure] for one in rounds)


def middle(rounds: Sequence[Mapping[str, float]], figure: str) -> float:
    return statistics.median(one[figure] for one in rounds)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run_side(
    module: str, *arguments: str, python: str | Path = sys.executable, seconds: float = 300.0, **environment: str
) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` to its end; the JSON object in its last line. WrongAnswer when it fails."""
    done = subprocess.run(
        [str(python), "-m", module, *arguments],
        cwd=BACKEND,
        env={**clean_environment(), "PYTHONPATH": str(BACKEND), **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode != 0:
        raise WrongAnswer(
            f"{module} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr[-3000:]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def clean_environment() -> dict[str, str]:
    """This process's environment, without what configures an Atelier or keeps Python from caching byte code."""
    own = ("ATELIER_", "HOST", "PORT", "LOG_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


# ── processes ─────────────────────────────────────────────────────────────────


def tree_of(pid: int) -> list[psutil.Process]:
    """A process and everything below it that is still there."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree so far, ended children included."""
    total = 0.0
    for process in tree_of(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def own_cpu_seconds(pid: int) -> float:
    """User and system time of one process so far, without its children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def memory_of(pid: int) -> dict[str, float]:
    """RSS, proportional (PSS) and private (USS) memory of one process in MiB, from smaps_rollup."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) / 1024
    private = values["Private_Clean"] + values["Private_Dirty"]
    return {"rss": values["Rss"], "pss": values["Pss"], "private": private, "private_dirty": values["Private_Dirty"]}


def stop(process: subprocess.Popen[Any], seconds: float = 20.0) -> int:
    """SIGTERM, then SIGKILL; the exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(5)


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has that many."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def wait_until(done: Callable[[], bool], seconds: float, what: str, pause: float = 0.01) -> float:
    """The seconds it took. Raises WrongAnswer after `seconds`."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - begun > seconds:
            raise WrongAnswer(f"{what} did not happen within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic() - begun


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
