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
SETTINGS = {"steps": 20, "guidance_scale": 5.0, "seeds": [7], "width": 64, "height": 64}
RARE = 10
"""So many of the oldest jobs failed, were cancelled, built an engine; as many of the oldest pictures show a newt, are
favourites, have five stars, a tag, a LoRA, a shape and a collection that no other has. The others have three stars,
a tag and a collection of their own."""
BEGUN = datetime.now(UTC) - timedelta(days=365)
FIRST = BEGUN + timedelta(minutes=RARE) - timedelta(seconds=1)
LOOKS = {
    "jobs": ("/api/jobs?limit=50", 50),
    "jobs, completed": ("/api/jobs?limit=50&status=completed&kind=image.generate", 50),
    "jobs, failed": ("/api/jobs?limit=50&status=failed", RARE),
    "jobs, cancelled": ("/api/jobs?limit=50&status=cancelled", RARE),
    "jobs, running": ("/api/jobs?limit=50&status=running", 0),
    "jobs, set-up": ("/api/jobs?limit=50&kind=environment.build", RARE),
    "gallery": ("/api/gallery?limit=60", 60),
    "gallery of a model": ("/api/gallery?limit=60&model=creatures", 60),
    "gallery of a rare model": ("/api/gallery?limit=60&model=ponds", RARE),
    "gallery, a word of all": ("/api/gallery?limit=60&q=dragon", 60),
    "gallery, a rare word": ("/api/gallery?limit=60&q=newt", RARE),
    "gallery, oldest first": ("/api/gallery?limit=60&sort=oldest", 60),
    "gallery, best first": ("/api/gallery?limit=60&sort=rating", 60),
    "gallery, favourites": ("/api/gallery?limit=60&favourite=true", RARE),
    "gallery, three stars and more": ("/api/gallery?limit=60&rating=3", 60),
    "gallery, five stars": ("/api/gallery?limit=60&rating=5", RARE),
    "gallery of a tag": ("/api/gallery?limit=60&tag=usual", 60),
    "gallery of a rare tag": ("/api/gallery?limit=60&tag=rare", RARE),
    "gallery of a LoRA": ("/api/gallery?limit=60&lora=ink", RARE),
    "gallery of a collection": ("/api/gallery?limit=60&collection=col_usual", 60),
    "gallery of a rare collection": ("/api/gallery?limit=60&collection=col_rare", RARE),
    "gallery of a shape": ("/api/gallery?limit=60&aspect=square", 60),
    "gallery of a rare shape": ("/api/gallery?limit=60&aspect=portrait", RARE),
    "gallery of a rare size": ("/api/gallery?limit=60&size=64x96", RARE),
    "gallery of videos": ("/api/gallery?limit=60&kind=video", 0),
    "gallery of the first minutes": (f"/api/gallery?limit=60&until={FIRST:%Y-%m-%dT%H:%M:%SZ}", RARE),
    "facets": ("/api/gallery/facets", None),
    "collections": ("/api/collections", 2),
    "one picture": ("/api/gallery/img_7", None),
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
    begun = BEGUN.replace(tzinfo=None)
    jobs, images, tags, held = [], [], [], []
    for number in range(count):
        at = (begun + timedelta(minutes=number)).isoformat(" ")
        status = {0: "failed", 1: "cancelled"}.get(number // RARE, "completed")
        kind = "environment.build" if number // RARE == 2 else "image.generate"
        model, prompt = ("ponds", "a violet newt and a dragon") if number < RARE else ("creatures", "a red dragon")
        resolved = {**SETTINGS, "model": model, "prompt": prompt}
        request = json.dumps({"prompt": prompt, "resolved": resolved})
        rare = number < RARE
        more = {"loras": [{"key": "ink", "weight": 1.0}] if rare else []}
        recipe = json.dumps({**resolved, **more, "seed": 7, "sampler": "Euler", "engine": "diffusers_image"})
        job = f"job_{number}"
        jobs.append((job, kind, "local", prompt, status, 0, request, 1, 0, 0, 20, 20, 0, at, at, at))
        picture = (f"img_{number}", "local", job, 0, "png", 64, 96 if rare else 64, 9000, f"{number:064x}", 7)
        images.append((*picture, model, prompt, recipe, at, rare, 5 if rare else 3))
        tags.append((number + 1, "rare" if rare else "usual"))
        held.append(("col_rare" if rare else "col_usual", number + 1))
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
            " prompt, recipe, created_at, favourite, rating) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            images,
        )
        connection.executemany("INSERT INTO image_tags (image_seq, tag) VALUES (?,?)", tags)
        connection.executemany(
            "INSERT INTO collections (id, owner_id, name, created_at) VALUES (?, 'local', ?, ?)",
            [(f"col_{name}", name, begun.isoformat(" ")) for name in ("rare", "usual")],
        )
        connection.executemany("INSERT INTO collection_images (collection_id, image_seq) VALUES (?,?)", held)
    connection.close()


def _compare(small: Server, large: Server, rounds: int) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    with Client(small.port) as one, Client(large.port) as other:
        for name, look in LOOKS.items():
            looks = {small: lambda look=look: _get(one, *look), large: lambda look=look: _get(other, *look)}
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


def _get(client: Client, path: str, expected: int | None) -> float:
    """Seconds of a request. Raises WrongAnswer when a list does not hold as many items as expected."""
    begun = time.perf_counter()
    content = client.fetch("GET", path)
    seconds = time.perf_counter() - begun
    answer = json.loads(content)
    if expected is not None and len(answer["items"]) != expected:
        raise WrongAnswer(f"{path} answered {len(answer['items'])} items instead of {expected}")
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
