"""Log tails, /proc, and the variables that an engine gets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from atelier.config import BACKEND
from atelier.runtime import logtail, processes, reaper
from atelier.runtime.ending import forget_files
from atelier.runtime.variables import engine_environment


class TestLogTail:
    def test_the_last_lines(self, folder: Path) -> None:
        path = folder / "w.log"
        path.write_text("".join(f"line {n}\n" for n in range(1000)))
        assert logtail.read(path) == tuple(f"line {n}" for n in range(960, 1000))

    def test_a_file_that_is_not_there(self, folder: Path) -> None:
        assert logtail.read(folder / "none.log") == ()
        assert not logtail.cut(folder / "none.log")

    def test_control_characters_and_long_lines(self, folder: Path) -> None:
        path = folder / "w.log"
        path.write_bytes(b"\x1b[31mred\x1b[0m\n" + b"x" * 5000 + b"\n 50%\r 90%\r100%\n\xff\xfe\n\n")
        red, long, percent, broken = logtail.read(path)
        assert red == "[31mred[0m" and percent == "100%" and broken
        assert len(long) == logtail.LINE_CHARACTERS + 1

    def test_a_crash_dump_keeps_the_innermost_frames(self, folder: Path) -> None:
        path = folder / "w.log"
        frames = "".join(f'  File "a.py", line {n} in f{n}\n' for n in range(60))
        path.write_text(f"the reason\nFatal Python error: Aborted\n\nThread 0x1:\n{frames}\nThread 0x2:\n{frames}")
        rows = logtail.read(path)
        assert rows[0] == "the reason" and len(rows) == 2 + 2 * (1 + logtail.FRAMES)

    def test_cut_while_the_writer_goes_on(self, folder: Path) -> None:
        path = folder / "w.log"
        with logtail.opened(path) as file:
            file.write(b"old line\n" * 100)
            assert logtail.cut(path, max_bytes=100)
            assert path.stat().st_size == 0
            assert set(logtail.read(path)) == {"old line"}
            file.write(b"new line\n")
        assert path.stat().st_size == 9 and path.stat().st_mode & 0o777 == 0o600
        assert logtail.read(path)[-2:] == ("old line", "new line")


class TestProcesses:
    def test_a_pid_is_the_same_process_only_with_its_start_time(self) -> None:
        me = processes.look(os.getpid())
        assert me is not None and processes.is_alive(me)
        assert not processes.is_alive(processes.Process(**(vars(me) | {"started": me.started - 1})))

    def test_a_zombie_is_dead(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        found = processes.look(child.pid)
        assert found is not None and found.is_dead and not processes.is_alive(found)
        child.wait()
        assert processes.look(child.pid) is None

    def test_kill_spares_who_took_the_number(self) -> None:
        child = subprocess.Popen(["sleep", "60"])
        found = processes.look(child.pid)
        assert found is not None
        processes.kill([processes.Process(**(vars(found) | {"started": found.started - 1}))])
        assert child.poll() is None
        processes.kill([found])
        assert child.wait() == -9

    def test_names_with_brackets_and_spaces(self, folder: Path) -> None:
        program = folder / "a) R 1 (b"
        program.symlink_to("/bin/sleep")
        child = subprocess.Popen([program, "60"])
        found = processes.look(child.pid)
        assert found is not None and found.parent == os.getpid()
        child.kill()
        child.wait()

    def test_tree_finds_children_and_the_session(self) -> None:
        shell = subprocess.Popen(
            ["sh", "-c", "sleep 60 & setsid sleep 61 & wait"], start_new_session=True, stdout=subprocess.PIPE
        )
        root = processes.look(shell.pid)
        assert root is not None
        while len(found := processes.tree(root)) < 3:
            pass
        processes.kill(found)
        shell.communicate()
        deadline = time.monotonic() + 5
        while any(processes.is_alive(process) for process in found):
            assert time.monotonic() < deadline, "killed, and still alive"
            time.sleep(0.01)

    def test_environments_of_others_are_not_read(self) -> None:
        assert processes.environment(1) == {} or os.getuid() == 0
        assert processes.environment(2**22 + 1) == {}

    def test_rss(self) -> None:
        assert (processes.rss(os.getpid()) or 0) > 10_000_000
        assert processes.rss(2**22 + 1) is None


class TestMarks:
    def test_this_process_is_a_living_server(self) -> None:
        assert reaper.is_living_server(reaper.server_mark())
        pid, _, started = reaper.server_mark().partition(":")
        for mark in (f"{pid}:{int(started) - 1}", "", "x", "1", ":", f"{2**22 + 1}:1"):
            assert not reaper.is_living_server(mark)

    def test_reap_takes_only_leftovers_of_its_instance(self, folder: Path) -> None:
        def start(instance: str, server: str) -> subprocess.Popen[bytes]:
            env = {"PATH": os.environ["PATH"], reaper.INSTANCE: instance, reaper.SERVER: server}
            return subprocess.Popen(["sleep", "60"], env=env)

        gone, other = start("mine", "4194305:1"), start("other", "4194305:1")
        living = start("mine", reaper.server_mark())
        (folder / "old.sock").touch()
        (folder / "kept.txt").touch()
        assert reaper.reap("mine", folder) == [gone.pid]
        assert gone.wait() == -9 and other.poll() is None and living.poll() is None
        assert [path.name for path in folder.iterdir()] == ["kept.txt"]
        for process in (other, living):
            process.kill()
            process.wait()

    def test_who_is_born_during_the_look_is_no_orphan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker that was forked beside another's crash was taken for what that one had left, and killed."""
        env = {"PATH": os.environ["PATH"], reaper.SERVER: "1:1"}
        born: list[subprocess.Popen[bytes]] = []
        marked = processes.marked

        def looking(variable: str, value: str) -> list[tuple[processes.Process, dict[str, str]]]:
            born.append(subprocess.Popen([sys.executable, "-c", "input()"], env=env, stdin=subprocess.PIPE))
            return marked(variable, value)

        monkeypatch.setattr(processes, "marked", looking)
        try:
            [(process, line)] = reaper.with_ancestors("1:1")
            assert process.pid == born[0].pid and {process.pid, os.getpid()} <= line
        finally:
            born[0].communicate()


class TestVariables:
    def test_nothing_of_the_servers_but_the_list(self) -> None:
        server = {
            "PATH": "/bin",
            "HOME": "/home/me",
            "CUDA_HOME": "/cuda",
            "OMP_NUM_THREADS": "4",
            "ATELIER_FAILPOINTS": "engine.mid_step=kill",
            "ATELIER_TOKEN": "secret",
            "HF_TOKEN": "secret",
            "CUDA_API_KEY": "secret",
            "NVIDIA_API_KEY": "secret",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "DATABASE_URL": "postgres://me:secret@host",
            "LD_PRELOAD": "/evil.so",
            "PYTHONSTARTUP": "/evil.py",
            "PYTHONPYCACHEPREFIX": "/compiled",
        }
        env = engine_environment(server, "i", is_servers_own=False)
        assert not [name for name, value in env.items() if "secret" in value or "evil" in value]
        for name in ("PATH", "HOME", "CUDA_HOME", "OMP_NUM_THREADS", "ATELIER_FAILPOINTS"):
            assert env[name] == server[name]
        assert env[reaper.INSTANCE] == "i" and env["HF_HUB_OFFLINE"] == "1"
        assert env["PYTHONDONTWRITEBYTECODE"] == "1" and "PYTHONPYCACHEPREFIX" not in env

    def test_the_servers_own_environment_keeps_its_compiled_files(self) -> None:
        env = engine_environment({"PYTHONPYCACHEPREFIX": "/compiled"}, "i", is_servers_own=True)
        assert env["PYTHONPYCACHEPREFIX"] == "/compiled" and "PYTHONDONTWRITEBYTECODE" not in env


def test_the_guard_runs_on_the_standard_library_alone() -> None:
    """It is started without site-packages: what a package imports on its way may not need any."""
    command = [sys.executable, "-S", "-c", "import atelier.runtime.reaper"]
    subprocess.run(command, env={"PYTHONPATH": str(BACKEND)}, check=True, timeout=30)


async def test_what_a_server_still_puts_down_while_its_worker_is_forgotten_goes_too(folder: Path) -> None:
    socket, put_down = folder / "w-1.sock", folder / "w-1.tmp"
    for path in (socket, folder / "w-1.v1"):
        path.touch()
    put_down.mkdir()
    writing = subprocess.Popen([sys.executable, "-c", _WRITES, str(put_down)], stdout=subprocess.PIPE)
    assert writing.stdout is not None and writing.stdout.readline()
    await forget_files(socket)
    assert list(folder.iterdir()) == []
    writing.wait()
    assert list(folder.iterdir()) == []


_WRITES = """
import itertools, sys, time
until = time.monotonic() + 0.5
for number in itertools.count():
    try:
        open(f"{sys.argv[1]}/{number}", "w").close()
    except FileNotFoundError:
        break
    if number == 100:
        print("writes", flush=True)
    if time.monotonic() > until:
        break
"""
