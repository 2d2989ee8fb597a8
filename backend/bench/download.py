"""G19, G20: a model's download, beside an httpx stream and beside curl; and what a kill costs.

    python -m bench.download

G19. A file on a hub on loopback, in a process of its own, goes to a file system in memory: through the download engine
(ranges, journal, hash, fsync, into place), through `httpx2.stream` written to a file, and through curl. The hash is
part of the job: a stream whose hash is not looked at may be anything. So both others hash what they fetched as well;
without that they stand in the table too. CPU is that of the fetching processes, the least of the rounds; wall time is
the median.

G20. The engine is killed with SIGKILL while it fetches, again and again; bytes that left the hub beyond the file's size
are what was fetched twice. Every result is compared with the hub's hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from engines import protocol
from tests.hub.fake_hub import FakeHub, Repo
from tests.hub.repositories import text, weights
from tests.hub.worker import HubWorker, hub_python, snapshot_of

from bench.measuring import BACKEND, MIB, Goal, Report, WrongAnswer, clean_environment, least, middle, options_for

CHUNK, CONNECTIONS = 32 * MIB, 4
FILE = "model.safetensors"

STREAM = """
import hashlib, json, os, resource, sys, time, httpx2
url, path, hashing = sys.argv[1:]
used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
cpu, wall, sum_ = used(), time.perf_counter(), hashlib.sha256()
with httpx2.stream("GET", url, follow_redirects=True, timeout=60) as response, open(path, "wb") as file:
    for piece in response.iter_bytes(10 * 1024 * 1024):
        file.write(piece)
        if hashing == "hash":
            sum_.update(piece)
    file.flush()
    os.fsync(file.fileno())
print(json.dumps({"cpu": used() - cpu, "wall": time.perf_counter() - wall, "sha256": sum_.hexdigest()}))
"""


def repository(size: int) -> Repo:
    config = text({"architectures": ["XForCausalLM"], "model_type": "x"})
    return Repo("bench/model", {"config.json": config, FILE: weights({"a": (size // 2,)})})


def serve(size: int) -> None:
    """The hub's process: says where it is, and goes when its standard input ends."""
    with FakeHub() as hub:
        repo = hub.add(repository(size))
        told = {"endpoint": hub.endpoint, "commit": repo.commit, "sha256": repo.digest(FILE), "data": hub.data_host}
        print(json.dumps(told), flush=True)
        sys.stdin.read()


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--mib", type=int, default=512, help="size of the file (512)")
    parser.add_argument("--kills", type=int, default=10, help="kills of the engine (10)")
    parser.add_argument("--serve", action="store_true", help="be the hub; used by the bench itself")
    options = parser.parse_args()
    if options.serve:
        serve(options.mib * MIB)
        return 0
    report = Report("download")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="at-bench-", dir=memory if memory.is_dir() else None) as scratch:
        asyncio.run(_speed(report, Path(scratch), options))
        asyncio.run(_kills(report, Path(scratch), options))
    return report.finish(options)


async def _speed(report: Report, scratch: Path, options: Any) -> None:
    command = [sys.executable, "-m", "bench.download", "--serve", "--mib", str(options.mib)]
    environment = {**clean_environment(), "PYTHONPATH": str(BACKEND)}
    hub = subprocess.Popen(
        command, cwd=BACKEND, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    python = await hub_python()
    worker = await HubWorker(python, scratch).ready()
    try:
        told = json.loads(hub.stdout.readline())  # type: ignore[union-attr]
        url = f"{told['data']}/blobs/{told['sha256']}"
        sides = {
            "engine": lambda: _engine(worker, told, scratch),
            "httpx stream, hashed": lambda: _stream(python, url, told, scratch, "hash"),
            "httpx stream": lambda: _stream(python, url, told, scratch, "plain"),
            "curl, hashed": lambda: _curl(url, told, scratch, True),
            "curl": lambda: _curl(url, told, scratch, False),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for number in range(options.rounds):
            for name in random.sample(list(sides), len(sides)):
                found[name].append(await sides[name]())
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    finally:
        await worker.close()
        hub.stdin.close()  # type: ignore[union-attr]
        hub.wait(10)
    gigabytes = options.mib * MIB / 1e9
    speed = {name: gigabytes / least(rounds, "cpu") for name, rounds in found.items()}
    wall = {name: middle(rounds, "wall") for name, rounds in found.items()}
    for name in sides:
        report.row(name, **{"GB per CPU s": speed[name], "GB/s": gigabytes / wall[name]})
    report.goals += [
        Goal("G19", "GB per CPU s, of an httpx stream", speed["engine"] / speed["httpx stream, hashed"], 1.7, False),
        Goal("G19", "wall, of curl and a hash", wall["curl, hashed"] / wall["engine"], 1.0, False),
    ]
    report.notes.append(
        f"of the others without a hash: {speed['engine'] / speed['httpx stream']:.2f} (CPU, httpx), "
        f"{wall['curl'] / wall['engine']:.2f} (wall, curl)"
    )


async def _engine(worker: HubWorker, told: dict[str, str], scratch: Path) -> dict[str, float]:
    cache = scratch / f"cache-{time.monotonic_ns()}"
    process = psutil.Process(worker.process.pid)
    before, begun = process.cpu_times(), time.perf_counter()
    end, _ = await worker.run(_task(told["endpoint"], told["commit"], cache))
    wall, after = time.perf_counter() - begun, process.cpu_times()
    if not isinstance(end, protocol.Done):
        raise WrongAnswer(f"the download ended with {end}")
    _check(Path(end.answer["path"]) / FILE, told["sha256"])
    subprocess.run(["rm", "-rf", str(cache)], check=True)
    return {"cpu": after.user + after.system - before.user - before.system, "wall": wall}


async def _stream(python: Path, url: str, told: dict[str, str], scratch: Path, how: str) -> dict[str, float]:
    path = scratch / "stream"
    done = subprocess.run([str(python), "-c", STREAM, url, str(path), how], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    _check(path, told["sha256"])
    if how == "hash" and found["sha256"] != told["sha256"]:
        raise WrongAnswer("the stream's hash is wrong")
    return found


async def _curl(url: str, told: dict[str, str], scratch: Path, hashed: bool) -> dict[str, float]:
    path = scratch / "curl"
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["curl", "-sS", "-o", str(path), url], check=True)
    if hashed:
        subprocess.run(["sha256sum", str(path)], check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    _check(path, told["sha256"])
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall": wall}


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise WrongAnswer(f"{path.name} does not have the hub's content")
    if not path.is_symlink():
        path.unlink()


def _task(endpoint: str, commit: str, cache: Path) -> protocol.HubDownload:
    return protocol.HubDownload(
        task_id=str(time.monotonic_ns()),
        access=protocol.HubAccess(endpoint=endpoint),
        repo="bench/model",
        commit=commit,
        revision="main",
        cache=str(cache),
        chunk_bytes=CHUNK,
        connections=CONNECTIONS,
    )


async def _kills(report: Report, scratch: Path, options: Any) -> None:
    python, chance, size = await hub_python(), random.Random(1), options.mib * MIB
    with FakeHub() as hub:
        repo = hub.add(repository(size))
        hub.bytes_per_second = 100e6
        cache, kills, again, end = scratch / "killed", 0, 0, None
        downloads = 0
        while kills < options.kills:
            downloads, end, killed, sent = downloads + 1, None, 0, hub.sent.total()
            while end is None:
                worker = await HubWorker(python, scratch).ready()
                run = asyncio.create_task(worker.run(_task(hub.endpoint, repo.commit, cache)))
                until = hub.sent.total() + chance.randrange(size // 20, size // 4)
                while kills + killed < options.kills and hub.sent.total() < until and not run.done():
                    await asyncio.sleep(0.005)
                if kills + killed >= options.kills or run.done():
                    end, _ = await run
                else:
                    worker.kill()
                    await asyncio.gather(run, return_exceptions=True)
                    killed += 1
                await worker.close()
            if not isinstance(end, protocol.Done):
                raise WrongAnswer(f"the download ended with {end}")
            _check(snapshot_of(cache, repo) / FILE, repo.digest(FILE))
            again += hub.sent.total() - sent - sum(map(len, repo.files.values()))
            kills += killed
            subprocess.run(["rm", "-rf", str(cache)], check=True)
    report.row("kills", **{"fetched again, MiB per kill": again / MIB / kills})
    limit = CHUNK * CONNECTIONS / MIB
    report.goals.append(Goal("G20", f"MiB fetched again per kill, of {kills} kills", again / MIB / kills, limit))


if __name__ == "__main__":
    sys.exit(main())
