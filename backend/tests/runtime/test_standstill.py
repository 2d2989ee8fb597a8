"""A server that has requests and computes nothing is ended; one that computes, or has none, is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from atelier.config import BACKEND
from engines.standstill import ALL_SECONDS, LOOK_SECONDS, WORKERS_SECONDS, Standstill, processor_time

FRONT, CORE, WORKER, KEEPER = 10, 11, 12, 13
PARENTS = {FRONT: 1, CORE: FRONT, WORKER: CORE, KEEPER: FRONT}


class Machine:
    """Processes whose processor time a test says, looked at as often as a real one."""

    def __init__(self) -> None:
        self.now, self.requests, self.sent = 1000.0, 0, 0
        self.used = {FRONT: 20.0, CORE: 15.0, WORKER: 12.0, KEEPER: 0.1}
        self.standstill = Standstill(FRONT, lambda: (self.requests, self.sent), self.now)
        self.sends = 0

    def passes(self, seconds: float, **shares: float) -> float:
        """After how many seconds it was found to stand still; 0.0 for never. `shares`: of one core, by process."""
        names = {"front": FRONT, "core": CORE, "worker": WORKER, "keeper": KEEPER}
        began = self.now
        while self.now < began + seconds:
            self.now += LOOK_SECONDS
            for name, share in shares.items():
                self.used[names[name]] += share * LOOK_SECONDS
            self.sent += self.sends
            if self.standstill.look({pid: (PARENTS[pid], used) for pid, used in self.used.items()}, self.now):
                return self.now - began
        return 0.0


class TestStandstill:
    def test_requests_and_no_work(self) -> None:
        machine = Machine()
        machine.requests = 1
        found = machine.passes(60.0, front=0.01, worker=0.02)
        assert ALL_SECONDS <= found <= ALL_SECONDS + LOOK_SECONDS

    def test_one_without_requests_may_rest_and_then_has_all_the_time(self) -> None:
        machine = Machine()
        assert not machine.passes(3600.0, front=0.01, worker=0.02)
        machine.requests = 1
        assert machine.passes(60.0) >= ALL_SECONDS - LOOK_SECONDS

    @pytest.mark.parametrize("share", [{"worker": 0.9}, {"worker": 0.06, "core": 0.9}, {"front": 0.9}])
    def test_a_long_question_is_read_for_as_long_as_it_takes(self, share: dict[str, float]) -> None:
        machine = Machine()
        machine.requests = 1
        assert not machine.passes(3600.0, **share)

    def test_who_answers_works(self) -> None:
        machine = Machine()
        machine.requests, machine.sends = 5, 1
        assert not machine.passes(3600.0, front=0.01, worker=0.02)

    def test_who_spins_for_workers_that_hang_has_longer(self) -> None:
        machine = Machine()
        machine.requests = 1
        assert machine.passes(600.0, core=0.8) == pytest.approx(WORKERS_SECONDS, abs=LOOK_SECONDS)

    def test_a_server_of_one_process(self) -> None:
        machine = Machine()
        machine.used = {FRONT: 20.0}
        machine.requests = 1
        assert not machine.passes(3600.0, front=0.5)
        assert machine.passes(60.0, front=0.001) >= ALL_SECONDS

    def test_processor_time_is_what_the_kernel_says(self) -> None:
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            time.sleep(0.3)
            ((_, seconds),) = processor_time([busy.pid]).values()
            assert 0.02 < seconds < 5.0
        finally:
            busy.kill()
            busy.wait()
        assert processor_time([busy.pid]) == {}


SERVER = """
    import http.server, os, socketserver, sys, time

    class Front(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"1 7" if self.path == "/under-way" else b""
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def address_string(self): return ""
        def log_message(self, *_): pass

    open(os.path.join(os.environ["TMPDIR"], "left"), "w")
    print(os.environ["TMPDIR"], flush=True)
    if os.fork() == 0:
        time.sleep(600)
    socketserver.ThreadingUnixStreamServer(sys.argv[1], Front).serve_forever()
"""
WORKER_OF_IT = """
    import sys, time
    from pathlib import Path
    from engines import openai_child, standstill
    openai_child.STANDSTILL_LOOK_SECONDS, standstill.ALL_SECONDS = 0.1, 0.5
    child = openai_child.OpenAIChild([sys.executable, sys.argv[1], sys.argv[2]], Path(sys.argv[2]))
    child.start(20.0)
    print("ready", flush=True)
    child.watch()
    time.sleep(30.0)
"""


def test_nothing_is_left(tmp_path: Path) -> None:
    server, worker = tmp_path / "server.py", tmp_path / "worker.py"
    server.write_text(textwrap.dedent(SERVER))
    worker.write_text(textwrap.dedent(WORKER_OF_IT))
    socket = tmp_path / "w.v1"
    began = time.monotonic()
    command = [sys.executable, str(worker), str(server), str(socket)]
    env = {**os.environ, "PYTHONPATH": str(BACKEND)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20.0, check=False, env=env)
    assert done.returncode == 128 + signal.SIGKILL and time.monotonic() - began < 15.0
    assert "ready" in done.stdout and "the engine's server stands still: requests, and no work" in done.stderr
    assert str(tmp_path / "w.tmp") in done.stderr, "what it puts down for a while lies beside its socket"
    assert not socket.exists() and not (tmp_path / "w.tmp").exists()
