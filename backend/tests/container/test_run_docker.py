"""run_docker.sh and build_docker.sh, with a `docker` that writes down what it is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

DOCKER = """#!/usr/bin/env -S python3 -IS
import json, os, pathlib, stat, sys
told = {"arguments": sys.argv[1:]}
if "--env-file" in sys.argv:
    file = pathlib.Path(sys.argv[sys.argv.index("--env-file") + 1])
    told |= {"file": file.read_text(), "mode": stat.S_IMODE(file.stat().st_mode), "path": str(file)}
told["line"] = pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode() + " ".join(sys.argv)
with open(os.environ["DOCKER_LOG"], "a") as log:
    log.write(json.dumps(told) + "\\n")
if sys.argv[1] == "run" and os.environ.get("DOCKER_FAILS"):
    sys.exit("docker: Error response from daemon: " + os.environ["DOCKER_FAILS"])
if sys.argv[1:3] in (["image", "inspect"], ["stop", "atelier"]) and sys.argv[1] in os.environ.get("DOCKER_LACKS", ""):
    sys.exit("Error: No such thing")
"""


class Machine:
    """A home folder with docker, and nothing else of Atelier yet."""

    def __init__(self, home: Path) -> None:
        self.home, self.log = home, home / "docker.log"
        (home / "bin").mkdir()
        (home / "bin" / "docker").write_text(DOCKER)
        (home / "bin" / "docker").chmod(0o755)

    def start(self, *arguments: str, script: str = "run_docker.sh", **env: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": f"{self.home}/bin:{os.environ['PATH']}", "HOME": str(self.home), "DOCKER_LOG": str(self.log)}
        command = [str(REPOSITORY / script), *arguments]
        return subprocess.run(command, env=known | env, cwd=self.home, capture_output=True, text=True, check=False)

    def told(self, verb: str = "run") -> dict:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["arguments"][0] == verb][-1]

    def words(self) -> list[list[str]]:
        """What docker was asked, in order."""
        return [json.loads(line)["arguments"] for line in self.log.read_text().splitlines()]

    def settings(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.told()["file"].splitlines())

    def option(self, name: str) -> list[str]:
        words = self.told()["arguments"]
        return [words[place + 1] for place, word in enumerate(words) if word == name]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestRun:
    def test_mounts_publishes_and_names_the_address_to_open(self, machine: Machine) -> None:
        done = machine.start("atelier", HOST_PORT="9001", MODEL_CACHE_DIR=f"{machine.home}/models", GPUS="all")
        assert done.returncode == 0, done.stderr
        assert machine.option("--publish") == ["127.0.0.1:9001:8000"]
        assert f"{machine.home}/models:/models" in machine.option("--volume")
        assert machine.option("--gpus") == ["all"] and machine.option("--name") == ["atelier"]
        assert machine.told()["arguments"][-1] == "atelier"
        assert "http://localhost:9001/" in done.stdout
        assert "0.0.0.0" not in done.stdout and ":8000" not in done.stdout, "the container's inner address"

    def test_folders_are_whole_paths_and_a_list_of_gpus_one_word(self, machine: Machine) -> None:
        """Docker takes a plain word for a volume of its own, and `--gpus` for a line of CSV."""
        machine.start("atelier", MODEL_CACHE_DIR="models", DATA_DIR="./data", GPUS="device=0,1")
        home = machine.home.resolve()
        assert machine.option("--volume") == [f"{home}/models:/models", f"{home}/data:/data"]
        assert machine.option("--gpus") == ['"device=0,1"']
        refused = machine.start("atelier", DATA_DIR="a:b")
        assert refused.returncode == 1 and "colon" in refused.stderr

    def test_never_runs_as_root(self, machine: Machine) -> None:
        machine.start("atelier")
        (user,) = machine.option("--user")
        assert user == ("10001:10001" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}")
        assert machine.option("--cap-drop") == ["ALL"]
        assert (machine.home / ".local/share/atelier/atelier").stat().st_uid == int(user.split(":")[0])

    def test_secrets_go_by_a_file_of_this_user_and_on_no_command_line(self, machine: Machine) -> None:
        secrets = {
            "HUGGINGFACE_TOKEN": "hf_canary_1",
            "OPENAI_API_KEYS": "canary_2,canary_3",
            "ATELIER_TOKEN": "canary-4-5678901234",
        }
        done = machine.start("atelier", **secrets)
        told = machine.told()
        assert told["mode"] == 0o600 and not Path(told["path"]).exists(), "gone once docker has read it"
        assert {name: machine.settings()[name] for name in secrets} == secrets
        for line in machine.log.read_text().splitlines():
            assert "canary" not in json.loads(line)["line"]
        assert "canary" not in done.stdout + done.stderr

    def test_a_token_is_made_once_kept_and_shown_once(self, machine: Machine) -> None:
        first = machine.start("atelier")
        token = machine.settings()["ATELIER_TOKEN"]
        assert len(token) == 48 and token in first.stdout
        kept = machine.home / ".config/atelier/atelier.token"
        assert kept.read_text() == token and kept.stat().st_mode & 0o777 == 0o600
        again = machine.start("atelier")
        assert machine.settings()["ATELIER_TOKEN"] == token and token not in again.stdout
        machine.start("studio")
        assert machine.settings()["ATELIER_TOKEN"] != token

    def test_reachable_from_others_it_says_and_allows_this_machines_names(self, machine: Machine) -> None:
        done = machine.start("atelier", HOST_BIND_ADDRESS="0.0.0.0")
        hosts = machine.settings()["ADVERTISED_HOSTS"].split(",")
        assert hosts and all(re.fullmatch(r"[\w.-]+", host) for host in hosts)
        assert f"http://{hosts[0]}:8000/" in done.stdout and "0.0.0.0" not in done.stdout

    @pytest.mark.parametrize(
        ("settings", "address", "hosts"),
        [
            (
                {"HOST_BIND_ADDRESS": "0.0.0.0", "ADVERTISED_HOSTS": "studio.lan,s"},
                "http://studio.lan:8000/",
                "studio.lan,s",
            ),
            ({"HOST_BIND_ADDRESS": "10.1.2.3"}, "http://10.1.2.3:8000/", "10.1.2.3"),
            ({"HOST_BIND_ADDRESS": "10.1.2.3", "ADVERTISED_HOSTS": "s.lan"}, "http://s.lan:8000/", "s.lan,10.1.2.3"),
            ({"ADVERTISED_HOSTS": "behind.proxy"}, "http://behind.proxy:8000/", "behind.proxy"),
            ({}, "http://localhost:8000/", None),
        ],
    )
    def test_addresses(self, machine: Machine, settings: dict[str, str], address: str, hosts: str | None) -> None:
        assert address in machine.start("atelier", **settings).stdout
        assert machine.settings().get("ADVERTISED_HOSTS") == hosts

    def test_an_image_with_a_tag_gets_a_name_that_docker_takes(self, machine: Machine) -> None:
        machine.start("lab/atelier:1.0", GPUS="none")
        assert machine.option("--name") == ["lab-atelier-1.0"] and machine.option("--gpus") == []

    def test_an_update_ends_the_old_one_in_order_and_removes_it_last(self, machine: Machine) -> None:
        machine.start("lab/atelier:1.0")
        name = "lab-atelier-1.0"
        verbs = [
            words for words in machine.words() if words[0] != "image" and words != ["rm", "--force", f"{name}.before"]
        ]
        assert [words[0] for words in verbs] == ["stop", "rename", "run"]
        assert verbs[0] == ["stop", name] and verbs[1] == ["rename", name, f"{name}.before"]
        assert machine.words()[-1] == ["rm", "--force", f"{name}.before"]

    def test_the_first_start_has_none_to_end(self, machine: Machine) -> None:
        machine.start("atelier", DOCKER_LACKS="stop")
        assert "rename" not in [words[0] for words in machine.words()]

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            ("Bind for 127.0.0.1:8000 failed: port is already allocated.", "HOST_PORT=8001"),
            ('could not select device driver "" with capabilities: [[gpu]].', "GPUS=none"),
            ("no space left on device", "The lines above say why"),
        ],
    )
    def test_a_start_that_fails_says_what_to_do_and_the_old_one_runs_again(
        self, machine: Machine, error: str, words: str
    ) -> None:
        done = machine.start("atelier", DOCKER_FAILS=error)
        assert done.returncode == 1 and error in done.stderr and words in done.stderr
        assert "runs again" in done.stderr
        after = machine.words()[[one[0] for one in machine.words()].index("run") + 1 :]
        assert after == [["rm", "--force", "atelier"], ["rename", "atelier.before", "atelier"], ["start", "atelier"]]

    def test_without_its_image_nothing_that_runs_is_touched(self, machine: Machine) -> None:
        done = machine.start("atelier", DOCKER_LACKS="image")
        assert done.returncode == 1 and "./build_docker.sh atelier" in done.stderr
        assert [words[0] for words in machine.words()] == ["image"]

    def test_data_of_somebody_else_is_said_before_anything_starts(self, machine: Machine) -> None:
        data = machine.home / "theirs"
        data.mkdir(mode=0o500)
        done = machine.start("atelier", DATA_DIR=str(data))
        assert done.returncode == 1 and "chown" in done.stderr and not machine.log.exists()
        if os.getuid() == 0:
            os.chown(data, 10001, 10001)
            assert machine.start("atelier", DATA_DIR=str(data)).returncode == 0

    @pytest.mark.parametrize(
        ("arguments", "env", "words"),
        [
            ([], {}, "usage"),
            (["--privileged"], {}, "usage"),
            (["atelier"], {"HOST_PORT": "http"}, "HOST_PORT=http"),
            (["atelier"], {"HOST_PORT": "70000"}, "1 to 65535"),
            (["atelier"], {"ATELIER_TOKEN": "short"}, "16 characters"),
            (["atelier"], {"OPENAI_API_KEYS": "a\nATELIER_TOKEN=b"}, "one line"),
        ],
    )
    def test_what_cannot_be_is_refused_in_words(
        self, machine: Machine, arguments: list[str], env: dict[str, str], words: str
    ) -> None:
        done = machine.start(*arguments, **env)
        assert done.returncode == 1 and words in done.stderr
        assert not machine.log.exists()

    def test_every_setting_of_the_server_is_handed_on_but_those_of_the_image(self, machine: Machine) -> None:
        text = (REPOSITORY / "doc" / "operations.md").read_text()
        table = text[text.index("## Settings") : text.index("## How fast")]
        names = {name for line in table.splitlines() for name in re.findall(r"`([A-Z][A-Z_]+)`", line.split(" | ")[0])}
        own = {"HOST", "PORT", "TLS_CERT_FILE", "TLS_KEY_FILE", "DATA_DIR", "MODEL_CACHE_DIR", "ENVIRONMENTS_DIR",
               "CUDA_VISIBLE_DEVICES", "LOG_DIR"}  # fmt: skip
        assert own < names and len(names) > 25
        machine.start("atelier", **dict.fromkeys(names - own, "0123456789abcdef"))
        assert machine.settings().keys() >= names - own

    def test_a_start_that_fails_says_so_and_leaves_no_secret(self, machine: Machine) -> None:
        done = machine.start("atelier", DOCKER_FAILS="no such image", HUGGINGFACE_TOKEN="hf_canary")
        assert done.returncode == 1 and "no such image" in done.stderr and "could not start" in done.stderr
        assert "Atelier starts" not in done.stdout
        assert [path.name for path in (machine.home / ".config/atelier").iterdir()] == ["atelier.token"]

    def test_without_docker_it_names_the_other_way(self, machine: Machine) -> None:
        few = machine.home / "few"
        few.mkdir()
        for program in ("bash", "env", "id", "dirname"):
            (few / program).symlink_to(shutil.which(program) or program)
        for script in ("run_docker.sh", "build_docker.sh"):
            done = machine.start("atelier", script=script, PATH=str(few))
            assert done.returncode == 1 and "./run.sh" in done.stderr


class TestBuild:
    def test_builds_this_repository_under_the_name(self, machine: Machine) -> None:
        done = machine.start("atelier:1.0", script="build_docker.sh", CUDA_IMAGE="mirror.lan/cuda:13")
        assert done.returncode == 0, done.stderr
        words = machine.told("build")["arguments"]
        assert words[:3] == ["build", "--tag", "atelier:1.0"] and words[-1] == "."
        assert "CUDA_IMAGE=mirror.lan/cuda:13" in words and not any("TOKEN" in word for word in words)

    def test_needs_a_name(self, machine: Machine) -> None:
        assert "usage" in machine.start(script="build_docker.sh").stderr
