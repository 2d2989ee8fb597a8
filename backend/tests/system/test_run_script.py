"""`run.sh` itself, in a folder with a strange name; Python, node and npm are scripts that note what they are asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.launching import BACKEND, plain_environment

PYTHON = f"""#!/bin/bash
[ "$1" = -c ] && exec {sys.executable} "$@"
echo "python $*" >> "$NOTES"
case "$2" in
  venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  pip) exit "${{PIP_SAYS:-0}}" ;;
esac
"""
NODE = "#!/bin/bash\n"
NPM = """#!/bin/bash
echo "npm $*" >> "$NOTES"
if [ "$1" = ci ]; then mkdir -p node_modules; else mkdir -p dist; fi
"""


class Clone:
    def __init__(self, folder: Path) -> None:
        self.root, self.environments, self.notes = folder / "l'été à nous", folder / "environments", folder / "notes"
        for name in ("run.sh", "scripts/setup.sh", "backend/requirements/server.txt", "frontend/package-lock.json"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(BACKEND.parent / name, self.root / name)
        self.page = self.root / "frontend" / "src" / "a page.ts"
        for name in (
            "src/a page.ts",
            "public/icon.svg",
            "index.html",
            "vite.config.ts",
            "tsconfig.json",
            "openapi.json",
        ):
            (self.root / "frontend" / name).parent.mkdir(exist_ok=True)
            (self.root / "frontend" / name).write_text("1")
        programs = folder / "programs"
        programs.mkdir()
        for name, text in (("python3", PYTHON), ("node", NODE), ("npm", NPM)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._environment = {
            **plain_environment(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "ATELIER_BASE_PYTHON": str(programs / "python3"),
            "ENVIRONMENTS_DIR": str(self.environments),
            "NOTES": str(self.notes),
        }

    def run(self, *arguments: str, **environment: str) -> tuple[int, list[str], str]:
        """From another folder. Status, what was asked of the programs, what it says."""
        self.notes.write_text("")
        full = {**self._environment, **environment}
        command = [str(self.root / "run.sh"), *arguments]
        done = subprocess.run(command, cwd="/", env=full, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, self.notes.read_text().splitlines(), done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_only_the_first_start_sets_up(clone: Clone) -> None:
    status, asked, said = clone.run("--port", "9000")
    assert (status, [" ".join(line.split()[:3]) for line in asked]) == (
        0, ["python -m venv", "python -m pip", "npm ci --no-audit", "npm run --silent", "python -m atelier"],
    ), said  # fmt: skip
    assert clone.run("--port", "9000")[1] == ["python -m atelier serve --port 9000"]
    clone.page.write_text("2")
    assert clone.run()[1] == ["npm run --silent build", "python -m atelier serve"]


def test_an_environment_that_was_not_finished_is_not_used(clone: Clone) -> None:
    status, asked, said = clone.run(PIP_SAYS="1")
    assert status == 1 and "The server environment could not be set up" in said
    assert not any("atelier serve" in line for line in asked)
    assert list(clone.environments.iterdir()) == []
    assert clone.run()[1][-1] == "python -m atelier serve"
