"""The image environment's part of the benchmarks: finding it, a tiny model where none is shipped.

`--image-env` names its folder; without it the one that `atelier worker-env image` built is taken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench.measuring import BACKEND, clean_environment

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


def link_environment(found: Path, directory: Path) -> None:
    """Make `directory` an ENVIRONMENTS_DIR in which the server finds that environment."""
    from atelier.runtime.environments import Environments

    directory.mkdir()
    Environments(directory, BACKEND / "requirements").status("image").path.symlink_to(found, target_is_directory=True)


def model_folder(python: Path, scratch: Path) -> tuple[Path, str]:
    """A folder of models with `creatures` in it, and what that is: the shipped one, or a tiny random pipeline."""
    if (CREATURES / "unet").is_dir() or (CREATURES / "transformer").is_dir():
        return CREATURES.parent, "creatures, as shipped"
    script = BACKEND / "tests" / "engines" / "tiny_models.py"
    subprocess.run([str(python), str(script), str(scratch)], check=True, env=clean_environment(), capture_output=True)
    models = scratch / "models"
    models.mkdir()
    (scratch / "tiny-sd").rename(models / "creatures")
    card = json.loads((CREATURES / "atelier.json").read_text())
    (models / "creatures" / "atelier.json").write_text(json.dumps(card))
    return models, "a tiny random Stable Diffusion pipeline"
