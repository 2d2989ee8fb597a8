"""The image environment's part of the benchmarks: finding it, tiny models, a real server beside a bare diffusers loop.

`--image-env` names its folder; without it the one that `atelier worker-env image` built is taken.

    python -m bench.image_side --serve MODELS       the server that the benchmarks start, with the models of that folder
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.measuring import BACKEND, WrongAnswer, clean_environment, stop
from bench.serving import Server

CREATURES = BACKEND / "embedded" / "models" / "creatures"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image-env", type=Path, help="folder of the image environment")


def environment_folder(given: Path | None) -> Path:
    from atelier.config import read_settings
    from atelier.runtime.environments import Environments

    found = (
        given or Environments(read_settings().storage.environments_dir, BACKEND / "requirements").status("image").path
    )
    if not (found / "bin" / "python").exists():
        sys.exit(
            f"There is no image environment in {found}. Build it with `python -m atelier worker-env image`, "
            "or name one with --image-env."
        )
    return found


def python_of(given: Path | None) -> Path:
    return environment_folder(given) / "bin" / "python"


def tiny_pipeline(python: Path, scratch: Path, name: str = "sd") -> Path:
    """The folder of a tiny random pipeline of that family, made in `scratch`."""
    script = BACKEND / "tests" / "engines" / "tiny_models.py"
    command = [str(python), str(script), str(scratch), name]
    subprocess.run(command, check=True, env=clean_environment(), capture_output=True)
    return scratch / f"tiny-{name}"


def model_folder(python: Path, scratch: Path) -> tuple[Path, str]:
    """A folder of models with `creatures` in it, and what that is: the shipped one, or a tiny random pipeline."""
    if (CREATURES / "unet").is_dir() or (CREATURES / "transformer").is_dir():
        return CREATURES.parent, "creatures, as shipped"
    card = json.loads((CREATURES / "atelier.json").read_text())
    return as_creatures(tiny_pipeline(python, scratch), card), "a tiny random Stable Diffusion pipeline"


def as_creatures(pipeline: Path, card: dict[str, Any]) -> Path:
    """Put the pipeline into a folder of models, as `creatures` with that card; the folder."""
    models = pipeline.parent / "models"
    models.mkdir()
    pipeline.rename(models / "creatures")
    (models / "creatures" / "atelier.json").write_text(json.dumps(card))
    return models


class BareLoop:
    """`bench.bare_diffusers` in the image environment, with one model loaded."""

    def __init__(self, python: Path, model: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), "-m", "bench.bare_diffusers", str(model)],
            cwd=BACKEND,
            env={**clean_environment(), "PYTHONPATH": str(BACKEND), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._process.stdout.readline().strip() != "ready":
            raise WrongAnswer("the bare loop did not start")

    def make(self, **task: Any) -> dict[str, float]:
        """Its pictures, saved; `cpu` and `wall` seconds of all. The task's fields: `bench.bare_diffusers`."""
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        stop(self._process)


@dataclass(frozen=True)
class BothSides:
    """A server and a bare loop over the same `creatures`; `which` says what that is, `card` is its card."""

    server: Server
    bare: BareLoop
    python: Path
    folder: Path
    card: dict[str, Any]
    which: str

    def place(self, side: str) -> Path:
        """A folder for the pictures of one side."""
        folder = self.folder / side
        folder.mkdir(exist_ok=True)
        return folder

    def furthest(self, one: str, other: str, limit: int) -> int:
        """The largest difference of a pixel between two sides, in levels of 255. Raises WrongAnswer beyond `limit`, or
        where they made other pictures."""
        script = (
            "import sys, pathlib; import numpy as np; from PIL import Image\n"
            "a, b = map(pathlib.Path, sys.argv[1:])\n"
            "names = sorted(p.name for p in a.iterdir())\n"
            "assert names and names == sorted(p.name for p in b.iterdir())\n"
            "read = lambda path: np.asarray(Image.open(path).convert('RGB'), int)\n"
            "print(max(int(np.abs(read(a / n) - read(b / n)).max()) for n in names))"
        )
        command = [str(self.python), "-c", script, str(self.place(one)), str(self.place(other))]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise WrongAnswer(f"the pictures cannot be compared: {done.stderr[-500:]}")
        if int(done.stdout) > limit:
            raise WrongAnswer(f"a pixel of {one} is {int(done.stdout)} levels of 255 from that of {other}")
        return int(done.stdout)


@contextmanager
def both_sides(
    image_env: Path | None, models: Callable[[Path, Path], tuple[Path, str]] = model_folder
) -> Iterator[BothSides]:
    """A real server with the real image worker, and diffusers without Atelier, with one torch thread each."""
    environment = environment_folder(image_env)
    python = environment / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as scratch:
        folder = Path(scratch)
        made, which = models(python, folder)
        card = json.loads((made / "creatures" / "atelier.json").read_text())
        link_environment(environment, folder / "environments")
        bare = BareLoop(python, made / "creatures")
        settings = {"ATELIER_FAKE_ENGINE": "", "ATELIER_THREADS": "1", "ENVIRONMENTS_DIR": str(folder / "environments")}
        try:
            serve = ("--serve", str(made))
            with Server(folder / "data", module="bench.image_side", arguments=serve, **settings) as server:
                yield BothSides(server, bare, python, folder, card, which)
        finally:
            bare.close()


def link_environment(found: Path, directory: Path) -> None:
    """Make `directory` an ENVIRONMENTS_DIR in which the server finds that environment."""
    from atelier.runtime.environments import Environments

    directory.mkdir()
    Environments(directory, BACKEND / "requirements").status("image").path.symlink_to(found, target_is_directory=True)


def main() -> int:
    """The real server, with the models of another folder."""
    from atelier import cli
    from atelier import main as server
    from atelier.models.registry import ModelRegistry

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=Path, required=True)
    server.ModelRegistry = partial(ModelRegistry, embedded=parser.parse_args().serve)  # type: ignore[misc,assignment]
    return cli.main(["serve"])


if __name__ == "__main__":
    sys.exit(main())
