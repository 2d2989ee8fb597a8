"""Lists and the live snapshot with 10,000 jobs and 10,000 pictures; beside the same with 100.

    python -m bench.scale

Two real servers, one on a small and one on a large database (rows inserted directly; nothing waits, as in a studio that
has been used for a year). Requests take turns between the two; what is compared is the median wall time of each kind of
request.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measuring import Goal, Report, WrongAnswer, options_for
from bench.serving import Client, Server

SMALL, LARGE = 100, 10_000
LOOKS = {
    "jobs": "/api/jobs?limit=50",
    "jobs, completed": "/api/jobs?limit=50&status=completed&kind=image.generate",
    "gallery": "/api/gallery?limit=60",
    "gallery of a model": "/api/gallery?limit=60&model=creatures",
    "one picture": "/api/gallery/img_7",
}


def main() -> int:
    parser = options_for(__doc__, rounds=40)
    options = parser.parse_args()
    report = Report("scale")
    for name, (small, large) in measure(options.rounds).items():
        report.row(
            name, **{f"{SMALL} rows, ms": small * 1000, f"{LARGE:,} rows, ms": large * 1000, "ratio": large / small}
        )
        report.goals.append(Goal("scale", f"{name}: {LARGE:,} rows of {SMALL}", large / small, 1.5))
    return report.finish(options)


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of each kind of look on the small and on the large database, medians."""
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        fill(small, SMALL)
        fill(large, LARGE)
        with Server(small) as one, Server(large) as other:
            return _compare(one, other, rounds)


def fill(data_dir: Path, count: int) -> None:
    """A database with `count` ended jobs of one picture each."""
    from atelier.migrate import migrate

    data_dir.mkdir(parents=True)
    migrate(data_dir / "atelier.db")
    begun = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=365)
    resolved = {
        "model": "creatures",
        "prompt": "a red dragon",
        "steps": 20,
        "guidance_scale": 5.0,
        "seeds": [7],
        "width": 64,
        "height": 64,
    }
    request = json.dumps({"prompt": "a red dragon", "resolved": resolved})
    recipe = json.dumps({**resolved, "seed": 7, "sampler": "Euler", "engine": "diffusers_image"})
    jobs, images = [], []
    for number in range(count):
        at = (begun + timedelta(minutes=number)).isoformat(" ")
        jobs.append(
            (
                f"job_{number}",
                "image.generate",
                "local",
                "a red dragon",
                "completed",
                0,
                request,
                1,
                0,
                0,
                20,
                20,
                0,
                at,
                at,
                at,
            )
        )
        images.append(
            (
                f"img_{number}",
                "local",
                f"job_{number}",
                0,
                "png",
                64,
                64,
                9000,
                f"{number:064x}",
                7,
                "creatures",
                "a red dragon",
                recipe,
                at,
            )
        )
    connection = sqlite3.connect(data_dir / "atelier.db")
    with connection:
        connection.executemany(
            "INSERT INTO jobs (id, kind, owner_id, title, status, priority, request, attempt, crashes,"
            " cancel_requested, step, total_steps, hidden, created_at, started_at, finished_at)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            jobs,
        )
        connection.executemany(
            'INSERT INTO images (id, owner_id, job_id, "index", format, width, height, bytes, sha256, seed, model,'
            " prompt, recipe, created_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            images,
        )
    connection.close()


def _compare(small: Server, large: Server, rounds: int) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    with Client(small.port) as one, Client(large.port) as other:
        for name, path in LOOKS.items():
            looks = {small: lambda path=path: _get(one, path), large: lambda path=path: _get(other, path)}
            found[name] = _take_turns(small, large, looks, rounds)
        found["live snapshot"] = _take_turns(
            small,
            large,
            {server: lambda port=server.port: asyncio.run(_snapshot(port)) for server in (small, large)},
            rounds,
        )
    return found


def _take_turns(
    small: Server, large: Server, looks: dict[Server, Callable[[], float]], rounds: int
) -> tuple[float, float]:
    times: dict[Server, list[float]] = {small: [], large: []}
    for number in range(rounds + 3):
        for server in random.sample([small, large], 2):
            seconds = looks[server]()
            if number >= 3:  # the first ones warm both up
                times[server].append(seconds)
    return statistics.median(times[small]), statistics.median(times[large])


def _get(client: Client, path: str) -> float:
    begun = time.perf_counter()
    content = client.fetch("GET", path)
    seconds = time.perf_counter() - begun
    answer = json.loads(content)
    wanted = {"/api/jobs": 50, "/api/gallery": 60}.get(path.partition("?")[0])
    if wanted is not None and len(answer["items"]) != wanted:
        raise WrongAnswer(f"{path} answered {len(answer['items'])} items instead of {wanted}")
    return seconds


async def _snapshot(port: int) -> float:
    from websockets.asyncio.client import connect

    begun = time.perf_counter()
    async with connect(f"ws://127.0.0.1:{port}/api/live", compression=None, max_size=None) as socket:
        frame = json.loads(await socket.recv())
        seconds = time.perf_counter() - begun
    if frame["type"] != "snapshot" or len(frame["jobs"]) != 30:
        raise WrongAnswer(f"the snapshot holds {len(frame.get('jobs', []))} jobs instead of 30")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
