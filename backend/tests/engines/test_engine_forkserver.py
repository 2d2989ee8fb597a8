"""The forkserver: quick, shared, and no worker of it outlives its server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import protocol
from engines.protocol import Cancelled, Done, FakeTask, Progress, TextToImage
from worker_client import ForkserverProcess, WorkerSocket, is_running, process_environment, wait_until


@pytest.fixture
def own_forkserver():
    server = ForkserverProcess("engines.fake")
    yield server
    with contextlib.suppress(OSError):
        server.close()


def grandchild_of(worker: WorkerSocket):
    """Start a run whose engine has a child and then hangs; returns (context, pid)."""
    context = worker.running(FakeTask(task_id="t", output_dir="/tmp", script=["fork_grandchild", "hang"]))
    updates = context.__enter__()
    return context, int(next(updates).message.split()[1])


def test_has_one_thread_and_tells_its_size(fake_forkserver: ForkserverProcess) -> None:
    assert len(os.listdir(f"/proc/{fake_forkserver.process.pid}/task")) == 1
    assert fake_forkserver.ready.rss > 10_000_000
    assert fake_forkserver.ready.pid == fake_forkserver.process.pid


def test_a_worker_has_a_session_a_log_and_no_inherited_socket(fake_worker, fake_forkserver) -> None:
    worker = fake_worker(env={"ATELIER_INSTANCE": "abc"})
    assert os.getsid(worker.pid) == worker.pid
    assert os.readlink(f"/proc/{worker.pid}/fd/1") == str(worker.log)
    assert os.readlink(f"/proc/{worker.pid}/fd/0") == "/dev/null"
    assert int(Path(f"/proc/{worker.pid}/oom_score_adj").read_text()) == 800
    theirs = {
        os.readlink(f"/proc/{fake_forkserver.process.pid}/fd/{fd}")
        for fd in os.listdir(f"/proc/{fake_forkserver.process.pid}/fd")
    }
    ours = {os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{worker.pid}/fd")}
    shared = {name for name in theirs & ours if name.startswith(("socket:", "anon_inode:"))}
    assert shared == set()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"{}\n",
        b'{"type":"Spawned","worker_id":"x","pid":1}\n',
        b"\xff\xfe\n",
        b"[" * 50_000 + b"\n",
        b"x" * (5 << 20) + b"\n",
    ],
)
def test_malformed_lines_change_nothing(own_forkserver: ForkserverProcess, short_tmp: Path, line: bytes) -> None:
    own_forkserver.send(line)
    worker = own_forkserver.spawn("fake", ".", short_tmp / "malformed.sock", {})
    worker.wait_for("ready", 10)


def test_a_worker_that_cannot_start_is_reported(fake_forkserver: ForkserverProcess, short_tmp: Path) -> None:
    too_long = short_tmp / ("long" * 40)
    worker = fake_forkserver.spawn("fake", ".", too_long, {})
    assert fake_forkserver.exited(worker.pid).code == 71
    worker = fake_forkserver.spawn("fake", ".", short_tmp / "nowhere" / "w.sock", {})
    assert fake_forkserver.exited(worker.pid).code == 71


def test_workers_are_independent(fake_worker, fake_forkserver) -> None:
    first, second = fake_worker(), fake_worker()
    os.kill(first.pid, signal.SIGSEGV)
    assert fake_forkserver.exited(first.pid).signal == signal.SIGSEGV
    assert isinstance(second.run(FakeTask(task_id="t", output_dir="/tmp", script=["step:0"]))[-1], Done)


class TestEnd:
    """However the server ends, its workers and their children end within 5 s."""

    def test_by_the_death_pipe(self, own_forkserver: ForkserverProcess, short_tmp: Path) -> None:
        self.check(own_forkserver, short_tmp, lambda: os.close(own_forkserver.lifeline))

    def test_by_the_control_socket(self, own_forkserver: ForkserverProcess, short_tmp: Path) -> None:
        self.check(own_forkserver, short_tmp, own_forkserver.control.close)

    def test_by_sigterm_to_the_forkserver(self, own_forkserver: ForkserverProcess, short_tmp: Path) -> None:
        self.check(own_forkserver, short_tmp, own_forkserver.process.terminate)

    def check(self, server: ForkserverProcess, short_tmp: Path, end) -> None:
        worker = server.spawn("fake", ".", short_tmp / "end.sock", {})
        worker.wait_for("ready")
        context, grandchild = grandchild_of(worker)
        started = time.monotonic()
        end()
        wait_until(lambda: not is_running(worker.pid) and not is_running(grandchild), 5)
        server.process.wait(5)
        assert time.monotonic() - started < 5
        with contextlib.suppress(Exception):  # the connection of a dead worker
            context.__exit__(None, None, None)

    def test_a_killed_forkserver_takes_its_workers_along(
        self, own_forkserver: ForkserverProcess, short_tmp: Path
    ) -> None:
        worker = own_forkserver.spawn("fake", ".", short_tmp / "killed.sock", {})
        worker.wait_for("ready")
        own_forkserver.process.kill()
        wait_until(lambda: not is_running(worker.pid), 5)

    def test_workers_die_by_the_pipe_even_while_the_forkserver_is_stopped(
        self, own_forkserver, short_tmp: Path
    ) -> None:
        worker = own_forkserver.spawn("fake", ".", short_tmp / "stopped.sock", {})
        worker.wait_for("ready")
        own_forkserver.process.send_signal(signal.SIGSTOP)
        os.close(own_forkserver.lifeline)
        try:
            wait_until(lambda: not is_running(worker.pid), 5)
        finally:
            own_forkserver.process.send_signal(signal.SIGCONT)


class TestRealLibraries:
    def test_ready_in_a_small_part_of_a_plain_start(
        self, image_forkserver: ForkserverProcess, tiny_sd: Path, short_tmp: Path
    ) -> None:
        def ready_seconds(start) -> float:
            started = time.monotonic()
            start().wait_for("ready")
            return time.monotonic() - started

        def forked() -> WorkerSocket:
            workers.append(
                image_forkserver.spawn("diffusers_image", tiny_sd, short_tmp / f"r{len(workers)}.sock", {"threads": 1})
            )
            return workers[-1]

        def plain() -> WorkerSocket:
            command = [
                sys.executable,
                "-m",
                "engines.host",
                "diffusers_image",
                "--model-path",
                str(tiny_sd),
                "--socket",
                str(short_tmp / "rp.sock"),
            ]
            process.append(subprocess.Popen(command, env=process_environment()))
            return WorkerSocket(short_tmp / "rp.sock", process[-1].pid)

        workers: list[WorkerSocket] = []
        process: list[subprocess.Popen] = []
        try:
            slow = ready_seconds(plain)
            quick = min(ready_seconds(forked) for _ in range(3))
        finally:
            for worker in workers:
                worker.kill()
            for started in process:
                started.kill()
                started.wait()
        print(f"plain {slow:.3f} s, forked {quick:.3f} s, ratio {quick / slow:.4f}")
        assert quick < slow / 8  # with the weights, on a busy machine; `bench` holds the real figure

    def test_forks_safely_with_torch_loaded_and_shares_its_pages(
        self, image_forkserver: ForkserverProcess, tiny_sd: Path, short_tmp: Path
    ) -> None:
        assert len(os.listdir(f"/proc/{image_forkserver.process.pid}/task")) == 1
        worker = image_forkserver.spawn("diffusers_image", tiny_sd, short_tmp / "shared.sock", {"threads": 1})
        worker.wait_for("ready")
        health = worker.health()
        worker.kill()
        assert health.private_bytes < image_forkserver.ready.rss / 2

    def test_a_failed_load_names_the_reason(self, image_forkserver: ForkserverProcess, short_tmp: Path) -> None:
        worker = image_forkserver.spawn("diffusers_image", short_tmp / "missing", short_tmp / "lf.sock", {})
        with pytest.raises(AssertionError, match="model_missing"):
            worker.wait_for("ready", 10)


def drawing(output: Path, **changes: object) -> TextToImage:
    output.mkdir(exist_ok=True)
    settings = {"prompt": "a blue dragon", "negative_prompt": "", "seeds": [7], "steps": 4, "guidance_scale": 3.0}
    settings |= {"width": 64, "height": 64, "preview_every": 0, "task_id": "t", "output_dir": str(output)}
    return TextToImage(**(settings | changes))


class TestDrawing:
    """Pictures by a worker that was forked with the real libraries in it."""

    @pytest.fixture(scope="class")
    def worker(self, image_forkserver: ForkserverProcess, tiny_sd: Path, short_tmp: Path) -> Iterator[WorkerSocket]:
        worker = image_forkserver.spawn("diffusers_image", tiny_sd, short_tmp / "img.sock", {"threads": 1})
        worker.wait_for("ready")
        yield worker
        worker.kill()

    def test_makes_the_same_bytes_as_in_process(self, worker: WorkerSocket, tiny_sd: Path, tmp_path: Path) -> None:
        from engines.diffusers_image import load

        class Quiet:
            cancelled = False

            def report(self, _progress: Progress) -> None: ...

        (done,) = [update for update in worker.run(drawing(tmp_path / "a")) if isinstance(update, Done)]
        here = load(tiny_sd, {"threads": 1, "device": "cpu"}).run(drawing(tmp_path / "b"), Quiet())
        assert done.files[0].sha256 == here.files[0].sha256
        assert done.seconds > 0 and done.peak_bytes > 0

    def test_cancel_ends_it_at_the_next_step(self, worker: WorkerSocket, tmp_path: Path) -> None:
        with worker.running(drawing(tmp_path, steps=900)) as updates:
            next(updates)
            threading.Thread(target=worker.cancel, args=("t",)).start()
            started = time.monotonic()
            assert isinstance(list(updates)[-1], Cancelled)
        assert time.monotonic() - started < 2

    def test_hanging_up_frees_the_worker(self, worker: WorkerSocket, tmp_path: Path) -> None:
        with worker.running(drawing(tmp_path, steps=900)) as updates:
            next(updates)
        started = time.monotonic()
        worker.wait_for("ready", 5)
        assert time.monotonic() - started < 2


def test_the_message_types_are_those_of_the_protocol() -> None:
    line = protocol.encode_line(protocol.Exited(worker_id="w", pid=1, signal=9))
    assert protocol.control_decoder.decode(line).signal == 9
