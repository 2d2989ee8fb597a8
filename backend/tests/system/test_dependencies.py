"""The dependency inspector: versions from files, one question to a process, words when driver and CUDA do not fit."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from atelier.runtime import processes, reaper
from atelier.runtime.asking import NoAnswer, ask
from atelier.runtime.contents import read_contents
from atelier.runtime.devices import Device, Driver, MachineMemory
from atelier.runtime.environments import Environments
from atelier.runtime.gpu import GPUMonitor, ScriptedDevices
from atelier.system import dependencies
from atelier.system.dependencies import DependencyInspector, verdict
from atelier.system.schemas import DependencyOut

GB = 10**9
BACKEND = Path(__file__).resolve().parents[2]
GPU = Device(0, "cuda", "Scripted", GB, GB)
DRIVER = Driver("570.86.15", (12, 8))

TORCH = """
from types import SimpleNamespace as _N
version = _N(cuda="12.8")
class cuda:
    def init(): {init}
    def device_count(): return 2
backends = _N(cudnn=_N(is_available=lambda: True, version=lambda: 91002))
"""


def package(site: Path, name: str, version: str, *, cuda: str | None = None, code: str = "") -> None:
    (site / f"{name}-{version}.dist-info").mkdir(parents=True)
    module = site / name
    module.mkdir()
    (module / "__init__.py").write_text(code)
    if name.startswith("torch"):
        built = f"'{cuda}'" if cuda else "None"
        (module / "version.py").write_text(f"__version__ = '{version}'\ncuda: Optional[str] = {built}\nhip = None\n")


class Place:
    """Environments with one named `image`, made of empty packages and a torch that answers as a test wants."""

    def __init__(self, folder: Path, monitor: GPUMonitor) -> None:
        lists = folder / "requirements"
        lists.mkdir()
        for name in (
            "image",
            "hub",
            "chat",
            "chat-cpu",
            "chat-transformers",
        ):  # every environment has its list; only one of them is built here
            (lists / f"{name}.txt").write_text("torch\n" if name == "image" else "")
        self.environments = Environments(folder / "environments", lists)
        self.path = self.environments.status("image").path
        self.site = self.path / "lib" / "python3.11" / "site-packages"
        self.site.mkdir(parents=True)
        self.asked = folder / "asked"
        self.inspector = DependencyInspector(self.environments, monitor, "instance-of-a-test")

    def add_python(self) -> None:
        """An interpreter that finds the packages, and counts how often it was started."""
        python = self.path / "bin" / "python"
        python.parent.mkdir()
        path = f"PYTHONPATH={BACKEND}:{self.site}"
        python.write_text(f'#!/bin/sh\necho x >> {self.asked}\nexec env {path} {sys.executable} -S "$@"\n')
        python.chmod(0o755)

    async def image(self) -> dict[str, DependencyOut]:
        return {one.name: one for one in await self.inspector.all() if one.environment == "image"}

    def times_asked(self) -> int:
        return len(self.asked.read_text().splitlines()) if self.asked.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, GPUMonitor(ScriptedDevices([GPU], DRIVER)))


class TestVerdict:
    @pytest.mark.parametrize(
        ("runtime", "offered", "code", "fits"),
        [
            ("12.8.90", (12, 8), "fits", True),
            ("11.8", (12, 4), "fits", True),
            ("12.8", (13, 0), "fits", True),
            ("12.8", (12, 4), "fits_by_compatibility", True),
            ("13.0.48", (12, 8), "driver_too_old", False),
            ("13.0", None, "driver_unknown", None),
            (None, (12, 8), "cpu_build", None),
        ],
    )
    def test_pairs(self, runtime: str | None, offered: tuple[int, int] | None, code: str, fits: bool | None) -> None:
        found = verdict(runtime, Driver("570.86.15", offered), has_gpu=True)
        assert (found.code, found.fits) == (code, fits)

    def test_a_driver_too_old_is_told_with_what_to_install(self) -> None:
        found = verdict("13.0.48", Driver("550.54.15", (12, 4)), has_gpu=True)
        for word in ("550.54.15", "12.4", "13.0.48", "driver 580 or newer"):
            assert word in found.message
        assert found.message.params["needed"] == "580"
        assert "driver_old" == verdict("15.0", Driver("600.1", (14, 0)), has_gpu=True).code

    def test_without_a_gpu_nothing_needs_to_fit(self) -> None:
        assert verdict("13.0", None, has_gpu=False).code == "no_gpu"
        assert verdict(None, None, has_gpu=False).code == "cpu_build"


class TestContents:
    def test_versions_come_from_names_and_cuda_from_version_files(self, place: Place) -> None:
        package(place.site, "torch", "2.9.0", cuda="12.8", code="raise RuntimeError('imported')")
        package(place.site, "torchvision", "0.24.0", cuda="12.8")
        package(place.site, "vllm", "0.11.0+cu129")
        package(place.site, "diffusers", "0.42.1")
        package(place.site, "pyannote.audio", "4.0.0")
        package(place.site, "nvidia_cuda_runtime_cu12", "12.8.90")
        package(place.site, "nvidia_cudnn_cu12", "9.10.2.21")
        contents = read_contents(place.path)
        assert contents.cuda == {"torch": "12.8", "torchvision": "12.8", "vllm": "12.9"}
        assert (contents.cuda_runtime, contents.cudnn) == ("12.8.90", "9.10.2.21")
        assert contents.packages["pyannote-audio"] == "4.0.0"

    def test_newer_nvidia_packages_have_no_cuda_in_their_names(self, place: Place) -> None:
        package(place.site, "nvidia_cuda_runtime", "13.0.48")
        package(place.site, "nvidia_cudnn_cu13", "9.13.0.50")
        contents = read_contents(place.path)
        assert (contents.cuda_runtime, contents.cudnn) == ("13.0.48", "9.13.0.50")

    def test_a_build_without_cuda(self, place: Place) -> None:
        package(place.site, "torch", "2.13.0+cpu")
        contents = read_contents(place.path)
        assert contents.cuda == {} and contents.cuda_runtime is None


class TestInspector:
    async def test_asks_the_environment_once_where_files_do_not_tell(self, place: Place) -> None:
        place.add_python()
        package(place.site, "torch", "2.9.0", cuda="12.8", code=TORCH.format(init="pass"))
        package(place.site, "transformers", "5.0.0")
        first, again, _ = await asyncio.gather(place.image(), place.image(), place.image())
        assert first == again and place.times_asked() == 1
        torch = first["torch"]
        assert (torch.version, torch.cuda) == ("2.9.0", "12.8")
        assert (torch.details.cuda_available, torch.details.cudnn, torch.details.cuda_runtime) == (
            True, "9.10.2", "12.8",
        )  # fmt: skip
        assert torch.details.code == "fits" and torch.details.fits
        assert first["transformers"].cuda is None and first["transformers"].details == torch.details

    async def test_a_gpu_that_torch_cannot_use_is_told_with_its_reason(self, place: Place) -> None:
        place.add_python()
        init = "raise RuntimeError('CUDA unknown error')"
        package(place.site, "torch", "2.9.0", cuda="12.8", code=TORCH.format(init=init))
        details = (await place.image())["torch"].details
        assert details.cuda_available is False and details.code == "unavailable"
        assert "CUDA unknown error" in details.message

    @pytest.mark.parametrize("cuda", [None, "13.0"])
    async def test_nobody_is_asked_when_the_files_tell(self, place: Place, cuda: str | None) -> None:
        place.add_python()
        package(place.site, "torch", "2.9.0", cuda=cuda, code="raise SystemExit(1)")
        details = (await place.image())["torch"].details
        assert details.cuda_available is False and place.times_asked() == 0
        assert details.code == ("driver_too_old" if cuda else "cpu_build")

    async def test_a_crash_is_told_and_not_repeated_at_every_look(self, place: Place, monkeypatch) -> None:
        place.add_python()
        package(place.site, "torch", "2.9.0", cuda="12.8", code="import os; os.abort()")
        for _ in range(3):
            details = (await place.image())["torch"].details
            assert details.cuda_available is False and "could not be asked" in details.message
        assert place.times_asked() == 1
        monkeypatch.setattr(dependencies, "ASK_AGAIN_SECONDS", 0.0)
        await place.image()
        assert place.times_asked() == 2

    async def test_a_slow_environment_does_not_hold_up_the_answer(self, place: Place, monkeypatch) -> None:
        monkeypatch.setattr(dependencies, "PATIENCE_SECONDS", 0.3)
        place.add_python()
        package(place.site, "torch", "2.9.0", cuda="12.8", code="import time; time.sleep(60)")
        begun = time.monotonic()
        assert (await place.image())["torch"].details.cuda_available is None
        assert time.monotonic() - begun < 5
        await place.inspector.close()
        left = processes.marked(reaper.INSTANCE, "instance-of-a-test")
        assert left == []

    async def test_the_servers_own_libraries_are_listed_too(self, tmp_path: Path) -> None:
        inspector = Place(tmp_path, GPUMonitor(MachineMemory())).inspector
        items = {one.name: one for one in await inspector.all()}
        assert {"fastapi", "nvidia-ml-py"} <= set(items)
        assert items["fastapi"].environment == "server" and items["fastapi"].details.code == "not_needed"


class TestAsk:
    async def test_too_slow_is_ended(self, tmp_path: Path) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nsleep 60\n")
        script.chmod(0o755)
        with pytest.raises(NoAnswer, match="within 1 s"):
            await ask(script, "anything", instance="i", timeout=1.0)
        assert processes.look(int((tmp_path / "pid").read_text())) is None

    @pytest.mark.parametrize(("line", "words"), [("echo no json", "said nothing"), ("echo ouch >&2; exit 3", "ouch")])
    async def test_no_answer(self, tmp_path: Path, line: str, words: str) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
        with pytest.raises(NoAnswer, match=words):
            await ask(script, "anything", instance="i", timeout=10.0)

    async def test_what_it_is_given_holds_no_secret(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("HUGGINGFACE_TOKEN", "hf_canary")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\nenv > {tmp_path}/env\necho '{{}}'\n")
        script.chmod(0o755)
        assert await ask(script, "anything", instance="i", timeout=10.0) == {}
        given = (tmp_path / "env").read_text()
        assert (
            "hf_canary" not in given and "CUDA_VISIBLE_DEVICES=1" in given and f"ATELIER_SERVER={os.getpid()}" in given
        )
