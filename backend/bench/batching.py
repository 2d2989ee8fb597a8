"""G7: pictures of eight clients at once through Atelier, beside a bare diffusers loop that makes them one by one.

    python -m bench.batching

Each of eight clients asks a real server for a picture, waits for it and asks for the next; every prompt and seed is
another one. The real image worker makes them, several in one denoising loop once it has measured that this pays: the
model is a tiny random Stable Diffusion pipeline at 16 × 16 pixels, whose denoiser waits for its own next call most of
the time, as larger ones do on a large GPU. The other side makes the same pictures in a loop of the same pipeline, one
torch thread on either side. What is compared is wall time, the median of rounds that take turns; no pixel may be
further than one level of 255 from the other side's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench import image_side
from bench.generation import start_bare
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

CARD = {
    "key": "creatures",
    "name": "Tiny",
    "category": "image",
    "family": "sd15",
    "engine": "diffusers_image",
    "license": "MIT",
    "description": "A pipeline of random weights.",
    "tags": [],
    "defaults": {"steps": 20, "guidance_scale": 3.0, "width": 16, "height": 16, "scheduler": None},
    "limits": {"min_side": 16, "max_side": 256, "multiple": 8},
}


def main() -> int:
    parser = options_for(__doc__)
    image_side.add_options(parser)
    parser.add_argument("--clients", type=int, default=8, help="clients at once (8)")
    parser.add_argument("--pictures", type=int, default=4, help="pictures of each client in a round (4)")
    parser.add_argument("--steps", type=int, default=60, help="steps of each picture (60)")
    options = parser.parse_args()
    environment = image_side.environment_folder(options.image_env)
    python = environment / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        folder = Path(scratch)
        models = _tiny_model(python, folder)
        image_side.link_environment(environment, folder / "environments")
        bare = start_bare(python, models / "creatures")
        settings = {"ATELIER_FAKE_ENGINE": "", "ATELIER_THREADS": "1", "ENVIRONMENTS_DIR": str(folder / "environments")}
        serve = ("--serve", str(models))
        try:
            with Server(folder / "data", module="bench.generation", arguments=serve, **settings) as server:
                sides = _Sides(server, bare, python, folder, options)
                sides.learn()
                found = take_turns({"Atelier": sides.by_atelier, "diffusers": sides.by_diffusers}, options.rounds)
                furthest = sides.furthest()
        finally:
            bare.stdin.close()
            stop(bare)
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
    ours, bare = found["Atelier"], found["diffusers"]
    report.notes = [
        f"{options.clients} clients, {options.pictures} pictures each a round, {options.steps} steps, 16x16",
        f"the furthest pixel of all is {furthest} of 255 from the other side's",
        f"by CPU time of all processes: {least(bare, 'cpu') / least(ours, 'cpu'):.2f}",
    ]
    ratio = middle(bare, "wall") / middle(ours, "wall")
    report.goals = [Goal("G7", "pictures per second, of a loop that makes them one by one", ratio, 2.5, at_most=False)]
    return report


class _Sides:
    """Both sides of a round, and the pictures that they made."""

    def __init__(self, server: Server, bare: subprocess.Popen[str], python: Path, folder: Path, options: Any) -> None:
        self._server, self._bare, self._python, self._options = server, bare, python, options
        self._made = {"atelier": folder / "by-atelier", "diffusers": folder / "by-diffusers"}
        for one in self._made.values():
            one.mkdir()
        self._work = [
            (f"a creature, number {number}", 1000 + number) for number in range(options.clients * options.pictures)
        ]

    def learn(self) -> None:
        """Rounds that do not count, until eight go through together."""
        self.by_diffusers()
        with Client(self._server.port) as client:
            for seed in range(3):
                _wait(client, _ask(client, "alone", seed, self._options.steps))
        for _ in range(8):
            self.by_atelier()
            with Client(self._server.port) as client:
                newest = client.call("GET", "/api/gallery?limit=8")["items"]
            together = max(image["recipe"].get("batch", 1) for image in newest)
            print(f"learning: {together} at once", file=sys.stderr, flush=True)
            if together >= self._options.clients - 1:
                return
        raise WrongAnswer("the pictures were never made together")

    def by_atelier(self) -> dict[str, float]:
        clients = self._options.clients
        images: list[list[dict[str, Any]]] = [[] for _ in range(clients)]
        cpu, wall = cpu_seconds(self._server.pid), time.perf_counter()

        def run(number: int) -> None:
            with Client(self._server.port) as client:
                for prompt, seed in self._work[number::clients]:
                    images[number].append(_wait(client, _ask(client, prompt, seed, self._options.steps)))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, cpu = time.perf_counter() - wall, cpu_seconds(self._server.pid) - cpu
        made = [image for some in images for image in some]
        if len(made) != len(self._work):
            raise WrongAnswer(f"{len(made)} of {len(self._work)} pictures were made")
        with Client(self._server.port) as client:
            for image in made:
                (self._made["atelier"] / f"{image['seed']}.png").write_bytes(client.fetch("GET", image["url"]))
        return {"cpu": cpu / len(made), "wall": wall / len(made)}

    def by_diffusers(self) -> dict[str, float]:
        total = {"cpu": 0.0, "wall": 0.0}
        for prompt, seed in self._work:
            line = {
                "prompt": prompt,
                "width": 16,
                "height": 16,
                "guidance_scale": 3.0,
                "num_inference_steps": self._options.steps,
                "seeds": [seed],
                "names": [str(seed)],
                "folder": str(self._made["diffusers"]),
            }
            self._bare.stdin.write(json.dumps(line) + "\n")
            self._bare.stdin.flush()
            answer = json.loads(self._bare.stdout.readline())
            total = {name: total[name] + answer[name] for name in total}
        return {name: value / len(self._work) for name, value in total.items()}

    def furthest(self) -> int:
        """The largest difference of a pixel between the two sides. Raises WrongAnswer beyond one level."""
        script = (
            "import sys, pathlib; import numpy as np; from PIL import Image\n"
            "a, b = map(pathlib.Path, sys.argv[1:])\n"
            "names = sorted(p.name for p in a.iterdir())\n"
            "assert names and names == sorted(p.name for p in b.iterdir())\n"
            "read = lambda path: np.asarray(Image.open(path).convert('RGB'), int)\n"
            "print(max(int(np.abs(read(a / n) - read(b / n)).max()) for n in names))"
        )
        done = subprocess.run(
            [str(self._python), "-c", script, *map(str, self._made.values())],
            check=True,
            capture_output=True,
            text=True,
        )
        if int(done.stdout) > 1:
            raise WrongAnswer(f"a pixel is {int(done.stdout)} levels from that of the picture made alone")
        return int(done.stdout)


def _ask(client: Client, prompt: str, seed: int, steps: int) -> str:
    body = {"prompt": prompt, "seed": seed, "steps": steps, "width": 16, "height": 16}
    return client.call("POST", "/api/generate/text-to-image", body, expect=202)["job_id"]


def _wait(client: Client, job: str) -> dict[str, Any]:
    """Its picture. Asks seldom: on a small machine the questions would cost more than the answers are worth."""
    begun = time.monotonic()
    while (state := client.call("GET", f"/api/generate/{job}"))["status"] in ("queued", "running"):
        if time.monotonic() - begun > 200:
            raise WrongAnswer("a picture was not made within 200 s")
        time.sleep(0.02)
    if state["status"] != "completed" or len(state["images"]) != 1:
        raise WrongAnswer(f"a job ended as {state['status']}: {state['error']}")
    return state["images"][0]


def _tiny_model(python: Path, scratch: Path) -> Path:
    script = BACKEND / "tests" / "engines" / "tiny_models.py"
    subprocess.run([str(python), str(script), str(scratch)], check=True, env=clean_environment(), capture_output=True)
    models = scratch / "models"
    models.mkdir()
    (scratch / "tiny-sd").rename(models / "creatures")
    (models / "creatures" / "atelier.json").write_text(json.dumps(CARD))
    scheduler = models / "creatures" / "scheduler" / "scheduler_config.json"
    index = models / "creatures" / "model_index.json"
    index.write_text(index.read_text().replace("PNDMScheduler", "EulerDiscreteScheduler"))
    settings = json.loads(scheduler.read_text()) | {"_class_name": "EulerDiscreteScheduler"}
    settings = {name: value for name, value in settings.items() if name not in ("skip_prk_steps", "set_alpha_to_one")}
    scheduler.write_text(json.dumps(settings))
    return models


if __name__ == "__main__":
    sys.exit(main())
