"""G6: pictures through Atelier, beside a bare diffusers loop in the same environment.

    python -m bench.generation

One client asks a real server for pictures (`POST /v1/images/generations`, which answers with them when they are there)
and the real image worker makes them. The other side calls the same pipeline in a loop and saves PNG files. Same model,
seeds and steps, one torch thread, rounds in turns. What is compared is the CPU time of all processes of a side per
picture, the least of the rounds, and the median wall time; the pictures of both sides must be the same to the pixel.
Atelier's side includes its thumbnails, recipes, checksums, database and live progress, and one round on either side
before the first that counts.
"""

from __future__ import annotations

import argparse
import base64
import sys
import time
from typing import Any

from bench import image_side
from bench.measuring import Goal, Report, WrongAnswer, cpu_seconds, least, middle, options_for, take_turns
from bench.serving import Client

PROMPT = "a red dragon with wings on a blue background"
FIRST_SEED = 1000


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    parser.add_argument("--pictures", type=int, default=8, help="pictures of each round (8, the most of one request)")
    parser.add_argument("--steps", type=int, default=20, help="steps of each picture (20)")
    options = parser.parse_args()
    with image_side.both_sides(options.image_env) as sides:
        defaults = sides.card["defaults"]
        task = {name: defaults[name] for name in ("width", "height", "guidance_scale")}
        rounds = _measure(sides, task, options)
    return _report(rounds, sides.which, task, options).finish(options)


def _report(
    found: dict[str, list[dict[str, float]]], which: str, task: dict[str, Any], options: argparse.Namespace
) -> Report:
    report = Report("generation")
    for name, rounds in found.items():
        report.row(
            name,
            **{"CPU ms per picture": least(rounds, "cpu") * 1000, "median wall ms": middle(rounds, "wall") * 1000},
        )
    ours, bare = found["Atelier"], found["diffusers"]
    report.notes = [
        f"{which}; {task['width']}x{task['height']}, {options.steps} steps, {options.pictures} pictures a round",
        f"wall ratio of the medians: {middle(bare, 'wall') / middle(ours, 'wall'):.3f}",
    ]
    report.goals = [
        Goal("G6", "pictures per CPU s, of diffusers", least(bare, "cpu") / least(ours, "cpu"), 0.97, at_most=False)
    ]
    return report


def _measure(
    sides: image_side.BothSides, task: dict[str, Any], options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    count, steps, seeds = options.pictures, options.steps, list(range(FIRST_SEED, FIRST_SEED + options.pictures))

    def by_atelier() -> dict[str, float]:
        cpu, wall = cpu_seconds(sides.server.pid), time.perf_counter()
        size = f"{task['width']}x{task['height']}"
        body = {"model": "creatures", "prompt": PROMPT, "n": count, "seed": seeds[0], "steps": steps, "size": size}
        with Client(sides.server.port) as client:
            answer = client.call("POST", "/v1/images/generations", {**body, "guidance_scale": task["guidance_scale"]})
        wall, cpu = time.perf_counter() - wall, cpu_seconds(sides.server.pid) - cpu
        if [image["seed"] for image in answer["data"]] != seeds:
            raise WrongAnswer("Atelier answered other pictures than were asked for")
        for image in answer["data"]:
            (sides.place("Atelier") / f"{image['seed']}.png").write_bytes(base64.b64decode(image["b64_json"]))
        return {"cpu": cpu / count, "wall": wall / count}

    def by_diffusers() -> dict[str, float]:
        folder = str(sides.place("diffusers"))
        made = sides.bare.make(prompts=[PROMPT] * count, seeds=seeds, folder=folder, num_inference_steps=steps, **task)
        return {name: value / count for name, value in made.items()}

    by_atelier()
    by_diffusers()
    found = take_turns({"Atelier": by_atelier, "diffusers": by_diffusers}, options.rounds)
    sides.furthest("Atelier", "diffusers", limit=0)
    return found


if __name__ == "__main__":
    sys.exit(main())
