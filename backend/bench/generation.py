"""G6: pictures through Atelier, beside a bare diffusers loop in the same environment.

    python -m bench.generation

One client asks a real server over HTTP for pictures and waits for them; the real image worker makes them. The other
side calls the same pipeline in a loop and saves PNG files. Same model, seeds and steps, one torch thread, rounds in
turns. What is compared is the CPU time of all processes of a side per picture, the least of the rounds, and the
median wall time; the pictures of both sides must be the same to the pixel. Atelier's side includes its thumbnails,
recipes, checksums, database and live progress, and one round on either side before the first that counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench import image_side
from bench.measuring import (
    BACKEND,
    Goal,
    Report,
    WrongAnswer,
    clean_environment,
    cpu_seconds,
    least,
    middle,
    options_for,
    stop,
    take_turns,
)
from bench.serving import Client, Server

PROMPT = "a red dragon with wings on a blue background"


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    parser.add_argument("--pictures", type=int, default=8, help="pictures of each round (8, the most of one request)")
    parser.add_argument("--steps", type=int, default=20, help="steps of each picture (20)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return _serve(options.serve)
    environment = image_side.environment_folder(options.image_env)
    python = environment / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        folder = Path(scratch)
        models, which = image_side.model_folder(python, folder)
        image_side.link_environment(environment, folder / "environments")
        defaults = json.loads((models / "creatures" / "atelier.json").read_text())["defaults"]
        task = {
            "prompt": PROMPT,
            "width": defaults["width"],
            "height": defaults["height"],
            "guidance_scale": defaults["guidance_scale"],
        }
        bare = start_bare(python, models / "creatures")
        settings = {"ATELIER_FAKE_ENGINE": "", "ATELIER_THREADS": "1", "ENVIRONMENTS_DIR": str(folder / "environments")}
        serve = ("--serve", str(models))
        try:
            with Server(folder / "data", module="bench.generation", arguments=serve, **settings) as server:
                rounds = _measure(server, bare, task, options, folder)
        finally:
            bare.stdin.close()
            stop(bare)
    return _report(rounds, which, task, options).finish(options)


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


def _serve(models: Path) -> int:
    """The real server, with the models of another folder."""
    from atelier import cli, main
    from atelier.models.registry import ModelRegistry

    main.ModelRegistry = partial(ModelRegistry, embedded=models)  # type: ignore[misc,assignment]
    return cli.main(["serve"])


def start_bare(python: Path, model: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(python), "-m", "bench.bare_diffusers", str(model)],
        cwd=BACKEND,
        env={**clean_environment(), "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout.readline().strip() != "ready":
        raise WrongAnswer("the bare loop did not start")
    return process


def _measure(
    server: Server, bare: subprocess.Popen[str], task: dict[str, Any], options: argparse.Namespace, folder: Path
) -> dict[str, list[dict[str, float]]]:
    made = {"atelier": folder / "by-atelier", "bare": folder / "by-diffusers"}
    for one in made.values():
        one.mkdir()
    count, steps, seeds = options.pictures, options.steps, list(range(1000, 1000 + options.pictures))

    def by_atelier() -> dict[str, float]:
        cpu, wall = cpu_seconds(server.pid), time.perf_counter()
        with Client(server.port) as client:
            body = {**task, "num_outputs": count, "seed": seeds[0], "steps": steps}
            job = client.call("POST", "/api/generate/text-to-image", body, expect=202)["job_id"]
            while (state := client.call("GET", f"/api/generate/{job}"))["status"] in ("queued", "running"):
                if time.perf_counter() - wall > 200:
                    raise WrongAnswer("Atelier did not make its pictures within 200 s")
                time.sleep(0.05)
            wall, cpu = time.perf_counter() - wall, cpu_seconds(server.pid) - cpu
            if state["status"] != "completed" or len(state["images"]) != count:
                raise WrongAnswer(f"Atelier's job ended as {state['status']}: {state['error']}")
            for image in state["images"]:
                (made["atelier"] / f"{image['index']}.png").write_bytes(client.fetch("GET", image["url"]))
        return {"cpu": cpu / count, "wall": wall / count}

    def by_diffusers() -> dict[str, float]:
        line = {**task, "num_inference_steps": steps, "seeds": seeds, "folder": str(made["bare"])}
        bare.stdin.write(json.dumps(line) + "\n")
        bare.stdin.flush()
        answer = json.loads(bare.stdout.readline())
        return {name: value / count for name, value in answer.items()}

    by_atelier()
    by_diffusers()
    found = take_turns({"Atelier": by_atelier, "diffusers": by_diffusers}, options.rounds)
    _check_same(image_side.environment_folder(options.image_env) / "bin" / "python", *made.values())
    return found


def _check_same(python: Path, one: Path, other: Path) -> None:
    script = (
        "import sys, pathlib; from PIL import Image\n"
        "a, b = map(pathlib.Path, sys.argv[1:])\n"
        "names = sorted(p.name for p in a.iterdir())\n"
        "pixels = lambda path: Image.open(path).convert('RGB').tobytes()\n"
        "same = [pixels(a / n) == pixels(b / n) for n in names]\n"
        "sys.exit(0 if names and names == sorted(p.name for p in b.iterdir()) and all(same) else 1)"
    )
    if subprocess.run([str(python), "-c", script, str(one), str(other)], check=False).returncode:
        raise WrongAnswer("Atelier's pictures differ from those of the bare loop")


if __name__ == "__main__":
    sys.exit(main())
