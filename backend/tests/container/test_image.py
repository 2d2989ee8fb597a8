"""The image, built step by step on a plain folder, and the server that starts from it without rights."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from atelier.runtime.environments import Environments
from tests.container.replay import Ignore, Stage, context, instructions, replay

REPOSITORY = Path(__file__).resolve().parents[3]
TOKEN = "canary-token-0123456789"
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def tool(name: str) -> str:
    """A linter that came with the development environment."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, f"{name} is not in the development environment; its list is backend/requirements/dev.txt"
    return found


def base_python() -> str:
    """One that another user may run, if there is one."""
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3"):
        check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if Path(candidate).exists() and subprocess.run([candidate, "-c", check], check=False).returncode == 0:
            return candidate
    return sys.executable


def building() -> dict[str, str]:
    """The variables of a build: no Python settings of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ATELIER_", "HOST"))}
    node = REPOSITORY / ".tools" / "node"
    path = f"{node}{os.pathsep}{kept['PATH']}" if node.exists() else kept["PATH"]
    return kept | {"PATH": path, "ATELIER_BASE_PYTHON": base_python()}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In a place that other users may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="atelier-image-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=False)  # tens of thousands of files: much faster than shutil


@pytest.fixture(scope="module")
def stages(folder: Path) -> dict[str, Stage]:
    # The engines' environments take gigabytes; their step is tested below with a small list.
    return replay(
        REPOSITORY,
        folder,
        environment=building(),
        leave_out=("apt-get", *(f"scripts/container/environment.sh {name}" for name in ("hub", "image", "chat"))),
    )


class TestLint:
    def test_dockerfile(self) -> None:
        done = subprocess.run(
            [tool("hadolint"), REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout

    def test_shell_scripts(self) -> None:
        scripts = [*REPOSITORY.glob("*.sh"), *REPOSITORY.glob("scripts/**/*.sh")]
        assert len(scripts) > 8
        done = subprocess.run(
            [tool("shellcheck"), "-x", *scripts], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout

    def test_the_linters_find_what_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "bad.sh").write_text("#!/bin/sh\nrm -rf $1/*\n")
        (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN cd /tmp\n")
        for command in ([tool("shellcheck"), "bad.sh"], [tool("hadolint"), "Dockerfile"]):
            assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


class TestDockerfile:
    def test_ends_as_a_user_without_rights_and_watches_its_health(self) -> None:
        words = [word for word, _ in instructions(DOCKERFILE)]
        assert [rest for word, rest in instructions(DOCKERFILE) if word == "USER"] == ["10001:10001"]
        assert words.index("USER") > max(place for place, word in enumerate(words) if word == "RUN")
        assert "HEALTHCHECK" in words

    def test_no_secret_is_asked_for_or_set(self) -> None:
        for word, rest in instructions(DOCKERFILE):
            if word in {"ARG", "ENV"}:
                names = [pair.split("=")[0] for pair in rest.split()]
                assert not any(part in name for name in names for part in ("TOKEN", "KEY", "SECRET", "PASSWORD"))

    def test_what_the_package_managers_fetch_stays_out_of_the_layers(self) -> None:
        steps = [line for line in DOCKERFILE.splitlines() if line.startswith("RUN") and "scripts/container/" in line]
        for tool, cache in (("environment.sh", "/root/.cache/pip"), ("dashboard.sh packages", "/root/.npm")):
            fetching = [line for line in steps if tool in line]
            assert fetching and all(line.startswith(f"RUN --mount=type=cache,target={cache} ") for line in fetching)

    def test_every_environment_is_a_layer_of_its_own_that_only_its_list_changes(self) -> None:
        lines = [f"{word} {rest}" for word, rest in instructions(DOCKERFILE)]
        for name in ("server", "hub", "image", "chat"):
            place = next(
                n for n, line in enumerate(lines) if line.startswith(f"RUN scripts/container/environment.sh {name}")
            )
            assert lines[place - 1] == f"COPY backend/requirements/{name}.txt backend/requirements/"
            assert place < lines.index("COPY backend backend")


class TestContext:
    def test_holds_what_is_needed_and_nothing_else(self, tmp_path: Path) -> None:
        ignore = Ignore((REPOSITORY / ".dockerignore").read_text())
        for name in (
            "backend/atelier/main.py",
            "backend/engines/host.py",
            "frontend/src/main.tsx",
            "pokemon/image_00.png",
        ):
            assert not ignore(name), name
        for name in (
            *(".git/config", "data/atelier.db", ".env", "backend/.env", "backend/atelier/server.key", "notes.txt"),
            *("backend/tests/serving.py", "frontend/node_modules/x/index.js", "backend/atelier/__pycache__/x.pyc"),
        ):
            assert ignore(name), name

    def test_a_secret_that_lies_about_stays_outside(self, tmp_path: Path) -> None:
        for name in (".env", "hf_token", "backend/.env.local", "backend/atelier/main.py", "frontend/cert.pem"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("canary")
        assert context(tmp_path, Ignore((REPOSITORY / ".dockerignore").read_text())) == ["backend/atelier/main.py"]


class TestEnvironments:
    def test_the_server_finds_the_environment_that_the_image_was_built_with(self, tmp_path: Path) -> None:
        lists = tmp_path / "backend" / "requirements"
        lists.mkdir(parents=True)
        (lists / "image.txt").write_text("msgspec==0.22.0\n")
        script = REPOSITORY / "scripts" / "container" / "environment.sh"
        command = [script, "image", tmp_path / "environments", tmp_path / "link"]
        for _ in range(2):  # the second time it is there
            env = building() | {"ATELIER_BASE_PYTHON": sys.executable}
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        environments = Environments(tmp_path / "environments", lists)
        info = environments.status("image")
        assert info.state == "ready" and info.packages == {"msgspec": "0.22.0"}
        assert (tmp_path / "link").resolve() == info.path and list((tmp_path / "environments").iterdir()) == [info.path]
        python = environments.python("image")
        assert python is not None
        assert subprocess.run([python, "-c", "import msgspec"], check=False).returncode == 0

    def test_a_list_that_cannot_be_installed_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "backend" / "requirements").mkdir(parents=True)
        (tmp_path / "backend" / "requirements" / "image.txt").write_text("msgspec==0.0.0.nothing\n")
        script = REPOSITORY / "scripts" / "container" / "environment.sh"
        done = subprocess.run(
            [script, "image", "environments"], cwd=tmp_path, env=building(), capture_output=True, check=False
        )
        assert done.returncode != 0 and list((tmp_path / "environments").iterdir()) == []


class Container:
    """The image's command as a process of a user without rights, with the variables that `docker run` would give."""

    def __init__(self, stage: Stage, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.stage, self.log = stage, data.with_suffix(".log")
        self.env = {"PATH": os.environ["PATH"], **stage.env, "PORT": str(self.port), "HOME": str(data)}
        self.env |= {
            "DATA_DIR": str(data),
            "ATELIER_TOKEN": TOKEN,
            "ADVERTISED_HOSTS": "studio.lan",
            "ATELIER_FAKE_ENGINE": "1",
        }
        self.user = {"user": 10001, "group": 10001, "extra_groups": []} if os.getuid() == 0 else {}
        if self.user and base_python() == sys.executable:
            self.user = {}  # the only Python of this machine lies where other users may not go

    def run(self, command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        env = self.env | more
        return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, **self.user)

    def __enter__(self) -> Container:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.stage.command, env=self.env, cwd="/", stdout=log, stderr=log, **self.user
            )
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.client.get("/health").status_code == 200:
                    return self
            except httpx2.TransportError:
                time.sleep(0.1)
        self.__exit__()
        raise AssertionError(self.log.read_text()[-3000:])

    def __exit__(self, *_exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="module")
def container(stages: dict[str, Stage]) -> Iterator[Container]:
    stage = stages["studio"]
    with Container(stage, stage.at("/data")) as running:
        yield running


class TestServer:
    def test_answers_and_serves_the_dashboard(self, container: Container) -> None:
        assert container.client.get("/health").json()["status"] == "ok"
        page = container.client.get("/")
        assert page.status_code == 200 and "<div id=" in page.text

    def test_runs_without_rights_and_writes_only_its_data(self, container: Container) -> None:
        status = Path(f"/proc/{container.process.pid}/status").read_text()
        uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
        if container.user:
            assert uid == 10001
        assert container.stage.at("/data").stat().st_mode & 0o1777 == 0o1777
        assert (container.stage.at("/data") / "atelier.db").exists() or list(container.stage.at("/data").iterdir())

    def test_asks_for_the_token_since_it_listens_on_all_addresses(self, container: Container) -> None:
        assert container.client.get("/api/system").status_code == 401
        answer = container.client.get("/api/system", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert container.client.get("/health", headers={"Host": "studio.lan:9000"}).status_code == 200
        assert container.client.get("/health", headers={"Host": "172.17.0.2:8000"}).status_code == 421

    def test_the_health_check_says_what_the_server_says(self, container: Container) -> None:
        done = container.run(container.stage.healthcheck)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
        away = container.run(container.stage.healthcheck, PORT="1")
        assert away.returncode == 1 and "no answer" in away.stderr

    def test_a_folder_that_cannot_be_written_is_told(self, container: Container, folder: Path) -> None:
        if not container.user:
            pytest.skip("everything can be written by root")
        closed = folder / "closed"
        closed.mkdir(mode=0o755)
        done = container.run(container.stage.command, DATA_DIR=str(closed))
        assert done.returncode == 1 and "cannot be written by user 10001" in done.stderr

    def test_without_a_token_it_does_not_start(self, container: Container) -> None:
        done = container.run(container.stage.command, ATELIER_TOKEN="", PORT="0")
        assert done.returncode == 2 and "ATELIER_TOKEN" in done.stderr
