"""G7: pictures of eight clients at once through Atelier, beside a bare diffusers loop that makes them one by one.

    python -m bench.batching

Each of eight clients asks a real server for a picture (`POST /v1/images/generations`, which answers when it is there)
and then for the next; every prompt and seed is another one. The real image worker makes them, several in one denoising
loop once it has measured that this pays: the model is a tiny random Stable Diffusion pipeline at 16 × 16 pixels, whose
denoiser waits for its own next call most of the time, as larger ones do on a large GPU. The other side makes the same
pictures in a loop of the same pipeline, one torch thread on either side: one by one, and eight in a call, which is the
limit of what sharing can give here. Wall time, the median of rounds that take turns, and CPU time of all processes, the
least; no pixel may be further than one level of 255 from that of the picture made alone.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench import image_side
from bench.measuring import (
    Goal,
    Report,
    WrongAnswer,
    cpu_seconds,
    least,
    middle,
    options_for,
    own_cpu_seconds,
    take_turns,
)
from bench.serving import Client

GUIDANCE = 3.0
SIDE = 16
CARD = {
    "key": "creatures",
    "name": "Tiny",
    "category": "image",
    "family": "sd15",
    "engine": "diffusers_image",
    "license": "MIT",
    "description": "A pipeline of random weights.",
    "tags": [],
    "defaults": {"steps": 20, "guidance_scale": GUIDANCE, "width": SIDE, "height": SIDE, "scheduler": None},
    "limits": {"min_side": SIDE, "max_side": 256, "multiple": 8},
}


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    parser.add_argument("--clients", type=int, default=8, help="clients at once (8)")
    parser.add_argument("--pictures", type=int, default=4, help="pictures of each client in a round (4)")
    parser.add_argument("--steps", type=int, default=60, help="steps of each picture (60)")
    options = parser.parse_args()
    with image_side.both_sides(options.image_env, _tiny_model) as both:
        sides = _Sides(both, options)
        sides.learn()
        turns = {"Atelier": sides.by_atelier, "one by one": sides.one_by_one, "eight in a call": sides.in_one_call}
        found = take_turns(turns, options.rounds)
        furthest = both.furthest("Atelier", "one by one", limit=1)
    return _report(found, furthest, options).finish(options)


def _report(found: dict[str, list[dict[str, float]]], furthest: int, options: Any) -> Report:
    report = Report("batching")
    for name, rounds in found.items():
        report.row(
            name,
            **{
                "median wall ms per picture": middle(rounds, "wall") * 1000,
                "CPU ms per picture": least(rounds, "cpu") * 1000,
            },
        )
    ours, alone, limit = found["Atelier"], found["one by one"], found["eight in a call"]
    report.row("Atelier, the server's process", **{"CPU ms per picture": least(ours, "server") * 1000})
    by_wall, most = (middle(alone, "wall") / middle(side, "wall") for side in (ours, limit))
    by_cpu, most_cpu = (least(alone, "cpu") / least(side, "cpu") for side in (ours, limit))
    report.notes = [
        f"{options.clients} clients, {options.pictures} pictures each a round, {options.steps} steps, {SIDE}x{SIDE}",
        f"the furthest pixel of all is {furthest} of 255 from that of the picture made alone",
        f"eight in a call gain {most:.2f} by wall time, {most_cpu:.2f} by CPU time: "
        f"Atelier reaches {by_wall / most:.0%} and {by_cpu / most_cpu:.0%} of that",
        f"by CPU time of all processes: {by_cpu:.2f}",
    ]
    what = "pictures per second, of a loop that makes them one by one"
    report.goals = [Goal("G7", what, by_wall, 2.5, at_most=False)]
    return report


class _Sides:
    """The sides of a round, and the pictures that they make."""

    def __init__(self, both: image_side.BothSides, options: Any) -> None:
        self._both, self._options = both, options
        count = options.clients * options.pictures
        self._prompts = [f"a creature, number {number}" for number in range(count)]
        self._seeds = list(range(1000, 1000 + count))

    def learn(self) -> None:
        """Rounds that do not count, until eight go through together."""
        self.one_by_one()
        self.in_one_call()
        with Client(self._both.server.port) as client:
            for seed in range(3):
                self._picture(client, "alone", seed)
        for _ in range(8):
            self.by_atelier()
            with Client(self._both.server.port) as client:
                newest = client.call("GET", "/api/gallery?limit=8")["items"]
            together = max(image["recipe"].get("batch", 1) for image in newest)
            print(f"learning: {together} at once", file=sys.stderr, flush=True)
            if together >= self._options.clients - 1:
                return
        raise WrongAnswer("the pictures were never made together")

    def by_atelier(self) -> dict[str, float]:
        clients, place = self._options.clients, self._both.place("Atelier")
        pid = self._both.server.pid
        made: list[int] = []

        def run(number: int) -> None:
            with Client(self._both.server.port) as client:
                for prompt, seed in zip(self._prompts[number::clients], self._seeds[number::clients], strict=True):
                    (place / f"{seed}.png").write_bytes(self._picture(client, prompt, seed))
                    made.append(seed)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
        cpu, server, wall = cpu_seconds(pid), own_cpu_seconds(pid), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, cpu, server = time.perf_counter() - wall, cpu_seconds(pid) - cpu, own_cpu_seconds(pid) - server
        if sorted(made) != self._seeds:
            raise WrongAnswer(f"{len(made)} of {len(self._seeds)} pictures were made")
        return {"cpu": cpu / len(made), "wall": wall / len(made), "server": server / len(made)}

    def one_by_one(self) -> dict[str, float]:
        return self._bare("one by one", 1)

    def in_one_call(self) -> dict[str, float]:
        return self._bare("eight in a call", 8)

    def _bare(self, side: str, at_once: int) -> dict[str, float]:
        found = self._both.bare.make(
            prompts=self._prompts,
            seeds=self._seeds,
            folder=str(self._both.place(side)),
            at_once=at_once,
            width=SIDE,
            height=SIDE,
            guidance_scale=GUIDANCE,
            num_inference_steps=self._options.steps,
        )
        return {name: value / len(self._seeds) for name, value in found.items()}

    def _picture(self, client: Client, prompt: str, seed: int) -> bytes:
        body = {"model": "creatures", "prompt": prompt, "seed": seed, "steps": self._options.steps}
        answer = client.call("POST", "/v1/images/generations", {**body, "size": f"{SIDE}x{SIDE}"})
        return base64.b64decode(answer["data"][0]["b64_json"])


def _tiny_model(python: Path, scratch: Path) -> tuple[Path, str]:
    pipeline = image_side.tiny_pipeline(python, scratch)
    scheduler, index = pipeline / "scheduler" / "scheduler_config.json", pipeline / "model_index.json"
    index.write_text(index.read_text().replace("PNDMScheduler", "EulerDiscreteScheduler"))
    settings = json.loads(scheduler.read_text()) | {"_class_name": "EulerDiscreteScheduler"}
    settings = {name: value for name, value in settings.items() if name not in ("skip_prk_steps", "set_alpha_to_one")}
    scheduler.write_text(json.dumps(settings))
    return image_side.as_creatures(pipeline, CARD), "a tiny random Stable Diffusion pipeline"


if __name__ == "__main__":
    sys.exit(main())
