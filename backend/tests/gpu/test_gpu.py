"""On an NVIDIA GPU: the CUDA paths of the image engine, and what NVML says of them. Only `./test.sh gpu` runs them.

Run with the engine environment's Python, like `tests/engines`.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from engines.diffusers_image import DiffusersImage, load
from engines.engine import RunFailed
from engines.protocol import Done, Progress, TextToImage
from PIL import Image

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

CREATURES = Path(__file__).parents[2] / "embedded" / "models" / "creatures"
MIB = 1024**2


class Recorder:
    cancelled = False

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)


def task(output: Path, **changes: object) -> TextToImage:
    settings = {"prompt": "a red dragon with wings on a blue background", "negative_prompt": "", "seeds": [1, 2]}
    settings |= {"steps": 12, "guidance_scale": 3.0, "width": 256, "height": 256, "preview_every": 1}
    return TextToImage(**{"task_id": "t", "output_dir": str(output), **settings, **changes})


def pixels(output: Path, done: Done) -> np.ndarray:
    return np.stack([np.asarray(Image.open(output / file.path).convert("RGB"), float) for file in done.files])


@pytest.fixture(scope="module")
def on_gpu() -> DiffusersImage:
    return load(CREATURES, {"dtype": "float32"})


class TestPictures:
    def test_look_like_the_cpus(self, on_gpu: DiffusersImage, tmp_path: Path) -> None:
        """Noise is drawn on the CPU, so that the same seed means the same picture everywhere."""
        recorder = Recorder()
        (tmp_path / "cpu").mkdir()
        ours = pixels(tmp_path, on_gpu.run(task(tmp_path), recorder))
        cpu = load(CREATURES, {"device": "cpu"})
        theirs = pixels(tmp_path / "cpu", cpu.run(task(tmp_path / "cpu"), Recorder()))
        assert on_gpu.device == "cuda"
        assert np.abs(ours - theirs).mean() < 4
        assert any(progress.previews for progress in recorder.seen)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_of_a_half_precision_model_are_of_the_same_scene(
        self, on_gpu: DiffusersImage, tmp_path: Path, dtype: str
    ) -> None:
        (tmp_path / "half").mkdir()
        half = load(CREATURES, {"dtype": dtype})
        assert half.weights_bytes < 0.6 * on_gpu.weights_bytes
        ours = pixels(tmp_path / "half", half.run(task(tmp_path / "half"), Recorder()))
        full = pixels(tmp_path, on_gpu.run(task(tmp_path), Recorder()))
        assert np.corrcoef(ours.ravel(), full.ravel())[0, 1] > 0.9

    def test_say_how_much_memory_they_took(self, on_gpu: DiffusersImage, tmp_path: Path) -> None:
        small = on_gpu.run(task(tmp_path, seeds=[1]), Recorder()).peak_bytes
        large = on_gpu.run(task(tmp_path, seeds=[1], width=384, height=384), Recorder()).peak_bytes
        assert on_gpu.weights_bytes < small < large


class TestMemory:
    def test_what_does_not_fit_is_said_and_the_worker_goes_on(self, on_gpu: DiffusersImage, tmp_path: Path) -> None:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 64 * MIB) / total)
        try:
            with pytest.raises(RunFailed) as refused:
                on_gpu.run(task(tmp_path, width=2048, height=2048, seeds=[1]), Recorder())
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        assert refused.value.code == "out_of_memory" and refused.value.hint
        assert len(on_gpu.run(task(tmp_path), Recorder()).files) == 2

    def test_comes_back_when_a_forked_worker_ends(self, image_forkserver, short_tmp: Path) -> None:
        pynvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py beside the engine's packages")
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)

        def used() -> int:
            return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)

        before = used()
        environment = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "0"}
        worker = image_forkserver.spawn("diffusers_image", CREATURES, short_tmp / "gpu.sock", {}, environment)
        worker.wait_for("ready", 120)
        assert used() > before + 100 * MIB, "a CUDA context alone takes more"
        worker.kill()
        deadline = time.monotonic() + 10
        while used() > before + 32 * MIB and time.monotonic() < deadline:
            time.sleep(0.1)
        assert used() <= before + 32 * MIB

    def test_a_worker_for_the_cpu_sees_no_gpu(self, image_forkserver, short_tmp: Path) -> None:
        worker = image_forkserver.spawn(
            "diffusers_image", CREATURES, short_tmp / "cpu.sock", {}, {"CUDA_VISIBLE_DEVICES": ""}
        )
        try:
            worker.wait_for("ready", 120)
            question = ["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]
            holders = subprocess.run(question, capture_output=True, text=True, check=True).stdout.split()
            assert str(worker.pid) not in holders
        finally:
            worker.kill()


class TestMonitor:
    def test_reads_what_nvml_knows(self) -> None:
        pytest.importorskip("pynvml", reason="needs nvidia-ml-py beside the engine's packages")
        gpu = pytest.importorskip("atelier.runtime.gpu", reason="needs psutil beside the engine's packages")
        monitor = gpu.GPUMonitor.detect()
        (sample, *_) = monitor.sample()
        device = monitor.devices[0]
        assert device.kind == "cuda" and torch.cuda.get_device_name(0) in device.name
        assert 0 < sample.used_bytes + sample.free_bytes <= sample.total_bytes == device.total_bytes
        assert 0 < sample.temperature_c < 120 and sample.power_w > 0 and 0 <= sample.utilization <= 100
        assert sample.power_limit_w > 0 and sample.clock_mhz > 0 and sample.problem is None
        assert monitor.driver is not None and monitor.driver.cuda >= (11, 0) and device.capability >= (5, 0)
        assert monitor.free_bytes()[0] > 0 and len(monitor.history) == 1
        monitor.close()


class TestParking:
    def test_gives_the_memory_back_and_draws_the_same_again(self, tmp_path: Path) -> None:
        engine = load(CREATURES, {"dtype": "float32"})
        before = pixels(tmp_path, engine.run(task(tmp_path), Recorder()))
        held = torch.cuda.memory_reserved()
        parked = engine.park()
        assert torch.cuda.memory_reserved() < held - engine.weights_bytes // 2
        assert parked.host_bytes == engine.weights_bytes
        engine.wake()
        assert np.array_equal(pixels(tmp_path, engine.run(task(tmp_path), Recorder())), before)

    def test_the_peak_is_what_the_run_took(self, on_gpu: DiffusersImage, tmp_path: Path) -> None:
        small = on_gpu.run(task(tmp_path, seeds=[1]), Recorder())
        large = on_gpu.run(task(tmp_path, seeds=[1], width=384, height=384), Recorder())
        assert on_gpu.weights_bytes < small.peak_bytes < large.peak_bytes
