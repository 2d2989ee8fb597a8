"""The worker host, with the fake engine: the wire, phases, cancel, and what a caller can rely on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from engines import protocol
from engines.protocol import (
    Cancelled,
    Done,
    Failed,
    FakeTask,
    Heartbeat,
    Hires,
    ImageStart,
    ImageToVideo,
    InputImage,
    Progress,
    TextToImage,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worker_client import WorkerSocket, is_running, process_environment, wait_until


def fake(*script: str, task_id: str = "t", output_dir: Path | str = "/tmp") -> FakeTask:
    return FakeTask(task_id=task_id, output_dir=str(output_dir), script=list(script))


class TestRun:
    def test_updates_end_with_done(self, fake_worker, tmp_path: Path) -> None:
        *updates, done = fake_worker().run(fake("step:0.01", "step:0.01", "file", output_dir=tmp_path))
        assert isinstance(done, Done)
        steps = [update.step for update in updates if isinstance(update, Progress)]
        assert steps == sorted(steps) and steps[-1] == 2
        assert (tmp_path / done.files[0].path).stat().st_size == done.files[0].bytes

    def test_pictures_of_a_text_to_image_task_are_real(self, fake_worker, tmp_path: Path) -> None:
        task = TextToImage(
            task_id="t",
            output_dir=str(tmp_path),
            prompt="x",
            negative_prompt="",
            seeds=[1, 2],
            steps=3,
            guidance_scale=1,
            width=64,
            height=32,
        )
        done = fake_worker().run(task)[-1]
        from PIL import Image

        pictures = [Image.open(tmp_path / file.path) for file in done.files]
        assert [picture.size for picture in pictures] == [(64, 32)] * 2
        assert pictures[0].getpixel((0, 0)) != pictures[1].getpixel((0, 0))

    def test_a_start_picture_and_a_mask_change_what_the_fake_draws(self, fake_worker, tmp_path: Path) -> None:
        from PIL import Image

        for name in ("one", "other"):
            Image.new("RGB", (8, 8), name == "one" and "red" or "blue").save(tmp_path / f"{name}.png")
        worker, made = fake_worker(), {}
        for name in ("one", "other", "nothing"):
            begun = ImageStart(image=InputImage(path=str(tmp_path / f"{name}.png"), key=name), strength=0.5)
            settings = {"seeds": [1], "steps": 2, "guidance_scale": 1, "width": 16, "height": 16, "start": begun}
            task = TextToImage(
                task_id="t", output_dir=str(tmp_path), prompt="x", negative_prompt="",
                hires=Hires(width=32, height=32, steps=1), **settings,
            )  # fmt: skip
            made[name] = worker.run(task)
        assert made["nothing"][-1].code == "input_unreadable"
        one, other = (made[name][-1].files[0] for name in ("one", "other"))
        assert one.sha256 != other.sha256 and (one.width, one.recipe["start"]["key"]) == (32, "one")
        assert max(update.step for update in made["one"] if isinstance(update, Progress)) == 3

    @pytest.mark.parametrize("format", ["mp4", "webp"])
    def test_its_clip_is_a_real_one(self, fake_worker, tmp_path: Path, format: str) -> None:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(tmp_path / "start.png")
        image = InputImage(path=str(tmp_path / "start.png"))
        settings = {"seeds": [1], "steps": 2, "guidance_scale": 3, "width": 64, "height": 64, "frames": 4, "fps": 4}
        task = ImageToVideo(task_id="t", output_dir=str(tmp_path), image=image, format=format, **settings)
        (file,) = fake_worker().run(task)[-1].files
        data = (tmp_path / file.path).read_bytes()
        assert file.sha256 == hashlib.sha256(data).hexdigest() and (file.frames, file.fps) == (4, 4.0)
        if format == "webp":
            assert Image.open(tmp_path / file.path).n_frames == 4
        else:
            import av

            with av.open(str(tmp_path / file.path)) as video:
                assert len(list(video.decode(video=0))) == 4

    def test_the_worker_is_ready_again_before_the_last_line(self, fake_worker) -> None:
        worker = fake_worker()
        for _ in range(50):
            assert isinstance(worker.run(fake("step:0"))[-1], Done)  # a 409 would fail here

    def test_heartbeats_while_nothing_happens(self, fake_worker) -> None:
        updates = fake_worker().run(fake("step:2.3"))
        assert 2 <= sum(isinstance(update, Heartbeat) for update in updates) <= 3

    def test_a_failed_run_leaves_the_worker_alive(self, fake_worker) -> None:
        worker = fake_worker()
        failed = worker.run(fake("step:0", "fail:too_blue"))[-1]
        assert isinstance(failed, Failed) and failed.code == "too_blue" and failed.hint
        assert isinstance(worker.run(fake("step:0"))[-1], Done)

    def test_words_of_a_prompt_can_be_verbs(self, fake_worker, tmp_path: Path) -> None:
        task = TextToImage(
            task_id="t",
            output_dir=str(tmp_path),
            prompt="a fox fake:fail:too_red",
            negative_prompt="",
            seeds=[1],
            steps=1,
            guidance_scale=1,
            width=8,
            height=8,
        )
        assert fake_worker().run(task)[-1].code == "too_red"

    def test_a_slow_reader_sees_the_newest_step(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0"] * 20000)) as updates:
            time.sleep(1.0)
            received = list(updates)
        assert isinstance(received[-1], Done)
        assert received[-2].step == 20000

    def test_a_second_run_is_refused_with_409(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake("step:5", task_id="first")) as updates:
            status, body = worker.request("POST", "/run", protocol.encode_line(fake("step:0")))
            assert status == 409 and json.loads(body)["code"] == "busy"
            assert worker.health().phase.value == "busy"
            worker.cancel("first")
            assert isinstance(list(updates)[-1], Cancelled)


class TestCancel:
    def test_ends_the_run_at_its_next_step(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0.05"] * 100)) as updates:
            next(updates)
            started = time.monotonic()
            assert worker.cancel("t")
            assert isinstance(list(updates)[-1], Cancelled)
        assert time.monotonic() - started < 1.0

    def test_another_tasks_run_goes_on(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0.05"] * 5, task_id="mine")) as updates:
            assert not worker.cancel("somebody-elses")
            assert isinstance(list(updates)[-1], Done)
        assert not worker.cancel("mine")  # over already

    def test_hanging_up_cancels(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0.05"] * 400)) as updates:
            next(updates)
        assert wait_until(lambda: worker.health().phase.value == "ready", 3) < 1.0

    def test_a_run_that_ignores_cancel_goes_on_with_heartbeats(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake("ignore_cancel", "step", "step:1.5")) as updates:
            assert isinstance(next(updates), Progress)  # from here on it ignores a cancel
            worker.cancel("t")
            received = list(updates)
        assert isinstance(received[0], Heartbeat) and isinstance(received[-1], Done)


class TestPhases:
    def test_health_answers_while_loading(self, fake_worker) -> None:
        worker = fake_worker(ready=False, load_seconds=0.7)
        assert worker.wait_for("loading", 5).load_seconds is None
        status, body = worker.request("POST", "/run", protocol.encode_line(fake("step:0")))
        assert status == 503 and json.loads(body)["code"] == "not_ready"
        health = worker.wait_for("ready")
        assert health.load_seconds >= 0.7 and health.pid == worker.pid and health.weights_bytes == 1024

    def test_a_model_that_does_not_load_says_why_and_ends(self, fake_worker, fake_forkserver) -> None:
        worker = fake_worker(ready=False, load_fails="model_damaged")
        with pytest.raises(AssertionError, match="model_damaged.*Tell it something else"):
            worker.wait_for("ready", 5)
        assert fake_forkserver.exited(worker.pid).code == 65
        assert "model_damaged" in worker.log.read_text()

    def test_an_unknown_engine_says_so(self, fake_forkserver, short_tmp: Path) -> None:
        for name in ("no_such_engine", "protocol", "../fake", "os"):
            worker = fake_forkserver.spawn(name, ".", short_tmp / "unknown.sock", {})
            with pytest.raises(AssertionError, match="unknown_engine"):
                worker.wait_for("ready", 5)
            fake_forkserver.exited(worker.pid)

    def test_sigterm_ends_an_idle_worker_within_a_second(self, fake_worker, fake_forkserver) -> None:
        worker = fake_worker()
        started = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        ended = fake_forkserver.exited(worker.pid)
        assert (ended.code, ended.signal) == (0, None)
        assert time.monotonic() - started < 1.0
        assert not worker.path.exists()

    def test_sigterm_cancels_a_run_first(self, fake_worker, fake_forkserver) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0.05"] * 100)) as updates:
            next(updates)
            os.kill(worker.pid, signal.SIGTERM)
            assert isinstance(list(updates)[-1], Cancelled)
        assert fake_forkserver.exited(worker.pid).code == 0


class TestDoor:
    def test_only_its_owner_may_use_the_socket(self, fake_worker) -> None:
        assert stat.S_IMODE(fake_worker().path.stat().st_mode) == 0o600

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
    def test_another_user_gets_no_answer(self, fake_worker) -> None:
        worker = fake_worker()
        os.chmod(worker.path, 0o666)  # noqa: S103 - the file mode alone is not to protect it
        os.chmod(worker.path.parent, 0o755)  # noqa: S103
        client = (
            "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.settimeout(5);"
            "s.connect(sys.argv[1]);"
            "s.sendall(b'GET /health HTTP/1.1\\r\\nHost: w\\r\\n\\r\\n'); print(s.recv(100))"
        )
        result = subprocess.run(
            [sys.executable, "-c", client, str(worker.path)], capture_output=True, text=True, timeout=20, check=False
        )
        assert "200" not in result.stdout
        assert worker.health().phase.value == "ready"

    @pytest.mark.parametrize(
        ("request_bytes", "status"),
        [
            (b"POST /run HTTP/1.1\r\nHost: w\r\n\r\n", 411),
            (b"POST /run HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            (b"POST /run HTTP/1.1\r\nHost: w\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST /run HTTP/1.1\r\nHost: w\r\nContent-Length: 4194305\r\n\r\n", 413),
            (b"POST /run HTTP/1.1\r\nHost: w\r\nContent-Length: " + b"9" * 4000 + b"\r\n\r\n", 413),
            (b"POST /elsewhere HTTP/1.1\r\nHost: w\r\nContent-Length: 0\r\n\r\n", 404),
            (b"GET /run HTTP/1.1\r\nHost: w\r\n\r\n", 405),
            (b"POST /health HTTP/1.1\r\nHost: w\r\nContent-Length: 0\r\n\r\n", 405),
            (b"POST /cancel HTTP/1.1\r\nHost: w\r\nContent-Length: 2\r\n\r\n{}", 400),
        ],
    )
    def test_bad_requests_get_their_status(self, fake_worker, request_bytes: bytes, status: int) -> None:
        worker = fake_worker()
        assert worker.raw(request_bytes).split()[1] == str(status).encode()

    def test_a_body_of_another_tasks_type_is_refused(self, fake_worker) -> None:
        status, body = fake_worker().request("POST", "/run", b'{"type":"Cancel","task_id":"t"}')
        assert status == 400 and json.loads(body)["code"] == "invalid_task"

    def test_the_worker_survives_any_body(self, fake_worker) -> None:
        worker = fake_worker()
        json_values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
        )
        bodies = (
            st.binary(max_size=2000)
            | json_values.map(lambda value: json.dumps(value).encode())
            | st.just(b"[" * 100_000)
        )

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies)
        def check(body: bytes) -> None:
            status, answer = worker.request("POST", "/run", body)
            assert status == 400 and json.loads(answer)["message"]

        check()
        assert isinstance(worker.run(fake("step:0"))[-1], Done)

    def test_the_worker_survives_any_bytes(self, fake_worker) -> None:
        worker = fake_worker()

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.binary(max_size=300))
        def check(data: bytes) -> None:
            with worker.connect() as connection:
                connection.sendall(data)
                connection.shutdown(1)
                connection.recv(65536)

        check()
        assert worker.health().phase.value == "ready"

    def test_many_idle_connections_leave_the_run_alone(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake(*["step:0.05"] * 30)) as updates:
            idle = [worker.connect() for _ in range(100)]
            received = list(updates)
        for connection in idle:
            connection.close()
        assert isinstance(received[-1], Done)
        wait_until(lambda: b"200" in worker.raw(b"GET /health HTTP/1.1\r\nHost: w\r\n\r\n"), 5)


class TestCrashes:
    @pytest.mark.parametrize(
        ("how", "code", "number"),
        [
            ("sigsegv", None, signal.SIGSEGV),
            ("sigkill", None, signal.SIGKILL),
            ("abort", None, signal.SIGABRT),
            ("exit3", 3, None),
        ],
    )
    def test_the_run_ends_without_a_last_line_and_the_exit_is_reported(
        self, fake_worker, fake_forkserver, how, code, number
    ) -> None:
        worker = fake_worker()
        received = worker.run(fake("step:0.1", f"crash:{how}"))
        assert not any(isinstance(update, Done | Failed | Cancelled) for update in received)
        ended = fake_forkserver.exited(worker.pid)
        assert (ended.code, ended.signal) == (code, number)

    def test_a_stopped_worker_falls_silent(self, fake_worker) -> None:
        worker = fake_worker()
        with worker.running(fake("step:0.1", "silent"), timeout=2.5) as updates, pytest.raises(TimeoutError):
            list(updates)

    def test_a_flood_on_stdout_goes_to_the_log(self, fake_worker) -> None:
        worker = fake_worker()
        assert isinstance(worker.run(fake("stdout_flood:5000000"))[-1], Done)
        assert worker.log.stat().st_size >= 5_000_000

    @pytest.mark.parametrize("action", ["kill", "abort", "exit", "raise"])
    def test_failpoints_act_where_they_are_named(self, fake_worker, fake_forkserver, action: str) -> None:
        worker = fake_worker(env={"ATELIER_FAILPOINTS": f"engine.mid_step={action}@2"})
        received = worker.run(fake("step:0.1", "step:0.1", "step:0.1"))
        if action == "raise":
            assert received[-1].code == "internal_error"
        else:
            ended = fake_forkserver.exited(worker.pid)
            assert (ended.signal, ended.code) == {"kill": (9, None), "abort": (6, None), "exit": (None, 70)}[action]


class TestPlainStart:
    """`python -m engines.host`, without a forkserver."""

    def start(self, short_tmp: Path, *more: str, **keywords) -> tuple[subprocess.Popen, WorkerSocket]:
        path = short_tmp / "plain.sock"
        command = [sys.executable, "-m", "engines.host", "fake", "--model-path", ".", "--socket", str(path), *more]
        process = subprocess.Popen(command, env=process_environment(), **keywords)
        worker = WorkerSocket(path, process.pid)
        worker.wait_for("ready")
        return process, worker

    def test_serves_and_stops(self, short_tmp: Path) -> None:
        process, worker = self.start(short_tmp, "--options", '{"weights_bytes": 7}')
        assert worker.health().weights_bytes == 7
        process.terminate()
        assert process.wait(2) == 0

    def test_ends_with_its_server(self, short_tmp: Path) -> None:
        death, lifeline = os.pipe()
        process, worker = self.start(short_tmp, "--death", str(death), pass_fds=(death,), start_new_session=True)
        os.close(death)
        assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) == 800
        with worker.running(fake("fork_grandchild", "hang")) as updates:
            grandchild = int(next(updates).message.split()[1])
            assert is_running(grandchild)
            os.close(lifeline)
            assert process.wait(5) == -signal.SIGKILL
            wait_until(lambda: not is_running(grandchild), 5)


def test_health_is_quick_under_a_busy_engine(fake_worker) -> None:
    worker = fake_worker()
    with worker.running(fake("alloc:50000000", "step:1")) as updates:
        threading.Thread(target=list, args=(updates,)).start()
        started = time.monotonic()
        worker.health()
        assert time.monotonic() - started < 0.5
        time.sleep(1.2)
