"""G12: from one model to another and back, beside a cold start.

    python -m bench.switching

Two models on a budget for one of them: each lease of the other parks the one that is there and wakes the one that is
parked. Beside it a cold start of the same worker (`python -m engines.host`: imports and load), and what the pool does
without parking (end one worker, fork and load another). Until `ready`, wall time.

On the CPU parking lets the weights go and keeps the process; waking reads the files again from the page cache.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path

from atelier.runtime.environments import Environments
from atelier.runtime.gpu import Device
from atelier.runtime.pool import WorkerPool
from atelier.runtime.variables import engine_environment
from atelier.runtime.worker import WorkerSpec

from bench import image_side
from bench.measuring import BACKEND, MIB, Goal, Report, WrongAnswer, clean_environment, middle, options_for
from bench.worker_start import _plain

ENGINE = "diffusers_image"
LEASE = 300 * MIB


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    options = parser.parse_args()
    found = image_side.environment_folder(options.image_env)
    report = Report("switching")
    with tempfile.TemporaryDirectory(prefix="at-") as scratch:
        folder = Path(scratch)
        image_side.link_environment(found, folder / "environments")
        models, which = image_side.model_folder(found / "bin" / "python", folder)
        both = [folder / "a", folder / "b"]
        for copy in both:
            shutil.copytree(models / "creatures", copy)
        asyncio.run(_measure(report, found / "bin" / "python", both, folder, options.rounds))
    report.notes.append(which)
    return report.finish(options)


async def _measure(report: Report, python: Path, models: list[Path], folder: Path, rounds: int) -> None:
    env = engine_environment(clean_environment(), "bench", is_servers_own=False)
    parked, stopped = _pool(folder / "p", LEASE * 3 // 2, folder), _pool(folder / "s", LEASE, folder)
    found: dict[str, list[dict[str, float]]] = {"cold": [], "parked": [], "stopped": []}
    try:
        for pool in (parked, stopped):
            await pool.start()
            await pool.prepare(ENGINE)
            for model in (*models, *models):
                await _switch(pool, model)
        for number in range(rounds):
            for side in random.sample(sorted(found), 3):
                if side == "cold":
                    plain = await _plain(python, env, models[0], folder)
                    found[side].append({"seconds": plain["ready"]})
                else:
                    pool = parked if side == "parked" else stopped
                    found[side] += [{"seconds": await _switch(pool, model)} for model in models]
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        if {info.state.value for info in parked.running()} <= {"ready"} or len(stopped.running()) != 1:
            raise WrongAnswer(f"nothing was parked: {parked.running()}")
    finally:
        await parked.close()
        await stopped.close()
    for name, side in found.items():
        report.row(name, **{"ms to ready": middle(side, "seconds") * 1000})
    cold = middle(found["cold"], "seconds")
    report.goals = [
        Goal("G12", "switch between parked, of a cold start", middle(found["parked"], "seconds") / cold, 0.05)
    ]
    report.notes.append(f"without parking, of a cold start: {middle(found['stopped'], 'seconds') / cold:.4f}")


def _pool(folder: Path, budget: int, scratch: Path) -> WorkerPool:
    return WorkerPool(
        Environments(scratch / "environments", BACKEND / "requirements"),
        [Device(0, "cpu", "CPU", budget, budget)],
        events=lambda _info: None,
        sockets_dir=folder / "s",
        logs_dir=folder / "l",
        instance=uuid.uuid4().hex,
        idle_seconds=600,
    )


async def _switch(pool: WorkerPool, model: Path) -> float:
    """Seconds from asking for a model to having it, ready to draw."""
    options = (("threads", 1), ("model_hash", "0" * 64))
    begun = time.perf_counter()
    async with pool.lease(WorkerSpec(ENGINE, model.name, model, options, LEASE)):
        return time.perf_counter() - begun


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
