"""Follows a Dockerfile on plain folders, without Docker: COPY copies, RUN runs what is a script of ours.

Absolute paths of the image are moved below a folder of the stage. Steps of the distribution (apt-get) are left out:
what they install must be there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PLACES = ("/app", "/opt/atelier", "/data", "/models")


@dataclass
class Stage:
    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    healthcheck: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / os.path.normpath(f"{self.workdir}/{path}" if not path.startswith("/") else path).lstrip("/")

    def moved(self, text: str) -> str:
        """The same words with the image's places below the stage's folder."""
        return re.sub(rf"(?<![\w.])({'|'.join(PLACES)})(?=[/\s:]|$)", rf"{self.root}\1", text)


class Ignore:
    """.dockerignore: the last pattern that fits a path, or a folder above it, decides."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self._rules = [
            (line.startswith("!"), re.compile(_regex(line.lstrip("!")))) for line in lines if line and line[0] != "#"
        ]

    def __call__(self, path: str) -> bool:
        parts = path.split("/")
        lines = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        ignored = False
        for keeps, rule in self._rules:
            if any(rule.fullmatch(line) for line in lines):
                ignored = not keeps
        return ignored


def _regex(pattern: str) -> str:
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.sub(r"\*\*/|\*\*|\*|\?|[^*?]+", lambda m: pieces.get(m[0], re.escape(m[0])), pattern.strip("/"))


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    plain = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n", " ", plain).splitlines()
    steps = [(line.split()[0].upper(), line.split(None, 1)[1].strip()) for line in lines if line.strip()]
    # A mount is the builder's, such as a cache: on a plain folder the tool's own takes its place.
    return [(word, re.sub(r"^(--mount=\S+\s+)+", "", rest) if word == "RUN" else rest) for word, rest in steps]


def context(repository: Path, ignore: Ignore) -> list[str]:
    """What `docker build` would send: files under the repository, relative, that are not ignored."""
    found = []
    for folder, folders, files in os.walk(repository):
        here = Path(folder).relative_to(repository)
        # Docker too does not look into what cannot hold anything of ours.
        folders[:] = [name for name in folders if name not in {"node_modules", ".git", ".tools"}]
        found += [str(here / name) for name in files if not ignore(str(here / name))]
    return found


def replay(
    repository: Path, root: Path, *, environment: dict[str, str], leave_out: tuple[str, ...]
) -> dict[str, Stage]:
    """All stages, by name. `leave_out`: RUN steps that begin so are not run."""
    files = context(repository, Ignore((repository / ".dockerignore").read_text()))
    stages: dict[str, Stage] = {}
    stage = Stage(root)
    for word, rest in instructions((repository / "Dockerfile").read_text()):
        match word:
            case "FROM":
                name = rest.split()[-1]
                stage = stages[name] = Stage(root / name)
                stage.root.mkdir(parents=True)
            case "WORKDIR":
                stage.workdir = rest
                stage.at(".").mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(repository, files, stages, stage, shlex.split(rest))
            case "ENV":
                pairs = (pair.split("=", 1) for pair in shlex.split(rest))
                stage.env |= {key: stage.moved(value) for key, value in pairs}
            case "RUN" if not rest.startswith(leave_out):
                command = ["bash", "-c", stage.moved(rest)]
                done = subprocess.run(
                    command, cwd=stage.at("."), env=environment | stage.env, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{rest}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            case "USER":
                stage.user = rest
            case "HEALTHCHECK":
                stage.healthcheck = [stage.moved(part) for part in json.loads(rest[rest.index("[") :])]
            case "CMD":
                stage.command = [stage.moved(part) for part in json.loads(rest)]
    return stages


def _copy(repository: Path, files: list[str], stages: dict[str, Stage], stage: Stage, words: list[str]) -> None:
    source = next((word.partition("=")[2] for word in words if word.startswith("--from=")), None)
    *froms, to = [word for word in words if not word.startswith("--")]
    for one in froms:
        if source:
            shutil.copytree(stages[source].at(one), stage.at(to), dirs_exist_ok=True)
            continue
        matching = [name for name in files if name == one or name.startswith(f"{one}/")]
        assert matching, f"COPY {one}: nothing of it is in the context"
        for name in matching:
            inside = name.removeprefix(one).lstrip("/") or (Path(name).name if to.endswith("/") else "")
            target = stage.at(to) / inside if inside else stage.at(to)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, target)
