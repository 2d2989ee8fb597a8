"""What the live figures of the system page cost the server: its share of a core, with a page open, while work is done.

    python -m bench.live_figures

A worker of the fake engine is busy with one long step, so that devices are looked at every second and nothing else is
told. A page is a live socket that reads every event and asks for the history once. Without a page the server looks at
its devices all the same; the difference is what pages add. No NVML is asked on a machine without a GPU.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import orjson
from websockets.asyncio.client import connect

from bench.measuring import Goal, Report, WrongAnswer, cpu_seconds, middle, options_for
from bench.serving import Server

PAGES = 3
STEP_SECONDS = "600"


def main() -> int:
    parser = options_for(__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a look (10)")
    options = parser.parse_args()
    report = Report("live_figures")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        rounds = asyncio.run(measure(Path(folder) / "data", options.rounds, options.seconds))
    report.row(
        "server, busy", **{f"{pages} pages, % of a core": 100 * middle(rounds, str(pages)) for pages in (0, 1, PAGES)}
    )
    report.goals = [Goal("figures", "page open, share of a core", middle(rounds, "1"), 0.02)]
    return report.finish(options)


async def measure(data_dir: Path, rounds: int, seconds: float) -> list[dict[str, float]]:
    """Shares of a core with no page, one and several, round after round."""
    with Server(data_dir, ATELIER_FAKE_STEP_SECONDS=STEP_SECONDS) as server:
        server.call("POST", "/api/generate/text-to-image", {"prompt": "slow"}, expect=202)
        deadline = time.monotonic() + 30
        while not any(worker["state"] == "busy" for worker in server.call("GET", "/api/system")["workers"]):
            if time.monotonic() > deadline:
                raise WrongAnswer("no worker became busy")
            await asyncio.sleep(0.1)
        return [{str(pages): await share(server, pages, seconds) for pages in (0, 1, PAGES)} for _ in range(rounds)]


async def share(server: Server, pages: int, seconds: float) -> float:
    """The server's share of a core while `pages` look on. Raises WrongAnswer when a page heard too little."""
    heard = [0] * pages
    readers = [asyncio.create_task(_look_on(server.port, heard, number)) for number in range(pages)]
    await asyncio.sleep(1.5)
    heard[:] = [0] * pages
    before = cpu_seconds(server.pid)
    await asyncio.sleep(seconds)
    used = cpu_seconds(server.pid) - before
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    if any(count < 0.7 * seconds for count in heard):
        raise WrongAnswer(f"figures came {heard} times in {seconds:.0f} s, not once a second")
    return used / seconds


async def _look_on(port: int, heard: list[int], number: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/api/live", origin=f"http://127.0.0.1:{port}") as socket:
        async for frame in socket:
            heard[number] += sum(event["type"] == "devices.sampled" for event in orjson.loads(frame).get("events", []))


if __name__ == "__main__":
    sys.exit(main())
