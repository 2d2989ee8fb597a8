"""G10: a worker forked from the forkserver, beside a plain start of the same one.

    python -m bench.worker_start

Without weights: from asking the forkserver to the first answer of the worker's /health, which has every library by
then; beside a new Python that imports the same libraries. With weights: until /health says `ready`; beside
`python -m engines.host`. Wall time medians and the CPU time of the started process; then how much memory of its own the
ready worker has, and how much it shares with the forkserver (smaps_rollup).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
from atelier.runtime.client import NotThere, WorkerClient
from atelier.runtime.forkserver import Forkserver
from atelier.runtime.variables import engine_environment
from engines import protocol

from bench import image_side
from bench.measuring import (
    BACKEND,
    Goal,
    Report,
    WrongAnswer,
    clean_environment,
    least,
    memory_of,
    middle,
    options_for,
    stop,
)

ENGINE = "diffusers_image"


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    options = parser.parse_args()
    python = image_side.python_of(options.image_env)
    report = Report("worker_start")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        models, which = image_side.model_folder(python, Path(scratch))
        asyncio.run(_measure(report, python, models / "creatures", Path(scratch), options.rounds))
    report.notes.append(which)
    return report.finish(options)


async def _measure(report: Report, python: Path, model: Path, scratch: Path, rounds: int) -> None:
    env = engine_environment(clean_environment(), "bench", is_servers_own=False)
    forkserver = Forkserver(python, preload=f"engines.{ENGINE}", env=env, log_path=scratch / "forkserver.log")
    await forkserver.start(200)
    found: dict[str, list[dict[str, float]]] = {"forked": [], "plain": []}
    try:
        for number in range(rounds):
            for side in ("forked", "plain") if number % 2 else ("plain", "forked"):
                if side == "forked":
                    found[side].append(await _forked(forkserver, model, scratch))
                else:
                    found[side].append(await _plain(python, env, model, scratch))
                print(f"round {number + 1} of {rounds}: {side}", file=sys.stderr, flush=True)
        shared = memory_of(forkserver.pid or 0)
    finally:
        await forkserver.close()
    forked, plain = found["forked"], found["plain"]
    for name, side in found.items():
        report.row(
            name,
            **{
                "libraries there, ms": middle(side, "libraries") * 1000,
                "ready, ms": middle(side, "ready") * 1000,
                "CPU to ready, ms": least(side, "cpu") * 1000,
                "RSS MiB": middle(side, "rss"),
                "PSS MiB": middle(side, "pss"),
                "private MiB": middle(side, "private"),
            },
        )
    report.row(
        "the forkserver", **{"RSS MiB": shared["rss"], "PSS MiB": shared["pss"], "private MiB": shared["private"]}
    )
    report.goals = [
        Goal("G10", "libraries there, of plain", middle(forked, "libraries") / middle(plain, "libraries"), 0.02),
        Goal("G10", "private memory, of plain", middle(forked, "private") / middle(plain, "private"), 0.5),
    ]
    report.notes.append(
        f"with weights, of plain: {middle(forked, 'ready') / middle(plain, 'ready'):.4f} (wall), "
        f"{least(forked, 'cpu') / least(plain, 'cpu'):.4f} (CPU)"
    )


async def _forked(forkserver: Forkserver, model: Path, scratch: Path) -> dict[str, float]:
    name = uuid.uuid4().hex[:12]
    socket = scratch / f"{name}.sock"
    spawn = protocol.Spawn(
        worker_id=name,
        engine=ENGINE,
        model_path=str(model),
        options={"threads": 1, "model_hash": "0" * 64},
        socket_path=str(socket),
        log_path=str(scratch / f"{name}.log"),
    )
    ended = asyncio.Event()
    begun = time.perf_counter()
    pid = await forkserver.spawn(spawn, lambda _exit: ended.set(), 60)
    figures = await _follow(socket, begun, pid)
    os.kill(pid, 15)
    await asyncio.wait_for(ended.wait(), 20)
    return figures


async def _plain(python: Path, env: dict[str, str], model: Path, scratch: Path) -> dict[str, float]:
    """Two processes: one imports and ends, the other becomes ready."""
    importing = f"import engines.{ENGINE} as engine; engine.preload()"
    begun = time.perf_counter()
    subprocess.run([str(python), "-c", importing], cwd=BACKEND, env=env, check=True, capture_output=True)
    libraries = time.perf_counter() - begun
    socket = scratch / f"{uuid.uuid4().hex[:12]}.sock"
    options = '{"threads": 1, "model_hash": "%s"}' % ("0" * 64)
    command = [str(python), "-m", "engines.host", ENGINE, "--model-path", str(model), "--socket", str(socket)]
    begun = time.perf_counter()
    process: Any = subprocess.Popen([*command, "--options", options], cwd=BACKEND, env=env, stdout=-3, stderr=-3)
    try:
        figures = await _follow(socket, begun, process.pid)
    finally:
        stop(process)
    return {**figures, "libraries": libraries}


async def _follow(socket: Path, begun: float, pid: int) -> dict[str, float]:
    """Ask for health until the weights are there; when the first answer came, and the process's CPU and memory then."""
    client = WorkerClient(socket, silence_seconds=60)
    first = 0.0
    try:
        while time.perf_counter() - begun < 120:
            try:
                health = await client.health()
            except NotThere:
                await asyncio.sleep(0.001)
                continue
            first = first or time.perf_counter() - begun
            if health.phase is protocol.WorkerPhase.READY:
                ready = time.perf_counter() - begun
                times = psutil.Process(pid).cpu_times()
                return {"libraries": first, "ready": ready, "cpu": times.user + times.system, **memory_of(pid)}
            if health.phase is protocol.WorkerPhase.FAILED:
                raise WrongAnswer(f"the worker did not load: {health.failure}")
            await asyncio.sleep(0.002)
    finally:
        await client.close()
    raise WrongAnswer("the worker was not ready within 120 s")


if __name__ == "__main__":
    sys.exit(main())
