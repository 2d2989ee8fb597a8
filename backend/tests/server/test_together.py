"""Requests of several clients in one run: who shares, what each gets, and what happens when one leaves or all fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import Server

STEP = 0.03
STEPS = 6
QUICK = {"ATELIER_FAKE_STEP_SECONDS": str(STEP), "ATELIER_SHARE_BATCHES": "auto", "LOG_LEVEL": "INFO"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has measured how long pictures take alone, and together."""
    with Server(tmp_path_factory.mktemp("together") / "data", **QUICK) as running:
        for number in range(3):
            running.wait_for(running.generate(f"alone {number}", steps=STEPS), "completed")
        for _ in range(8):
            before = together(running)
            jobs = ask(running, 12)
            for job in jobs:
                running.wait_for(job, "completed", seconds=120)
            if max(together(running)[len(before) :], default=0) >= 8:
                break
        else:
            raise AssertionError(f"never eight together: {together(running)}")
        yield running


def together(server: Server) -> list[int]:
    """How many pictures each shared run so far had, from the log."""
    lines = [line for line in server.log_path.read_text().splitlines() if "images.together" in line]
    return [int(line.rpartition("pictures=")[2].split()[0].strip("\x1b[0m")) for line in lines]


def ask(server: Server, count: int, **more: Any) -> list[str]:
    return [server.generate(f"picture {number}", seed=number, **{"steps": STEPS, **more}) for number in range(count)]


def until_drawn(server: Server, job_id: str) -> None:
    """Until its run has begun: nobody joins it any more, and who leaves it was in it."""
    deadline = time.monotonic() + 60
    while not server.client.get(f"/api/jobs/{job_id}").json()["step"]:
        assert time.monotonic() < deadline
        time.sleep(0.03)


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """Somebody else's job holds the worker until everybody has gathered behind it."""
    job = server.generate("first fake:step:20", steps=1)
    server.wait_for(job, "running")
    yield
    server.client.delete(f"/api/jobs/{job}")


class TestSharing:
    def test_those_that_wait_share_the_next_run(self, server: Server) -> None:
        before = len(together(server))
        with busy(server):
            jobs = ask(server, 8)
        done = [server.wait_for(job, "completed", seconds=60) for job in jobs]
        assert together(server)[before:] == [8]
        images = [server.client.get(f"/api/generate/{job['id']}").json()["images"] for job in done]
        assert [image["seed"] for (image,) in images] == list(range(8))
        assert [image["prompt"] for (image,) in images] == [f"picture {number}" for number in range(8)]

    def test_only_what_is_alike(self, server: Server) -> None:
        before = len(together(server))
        with busy(server):
            jobs = [*ask(server, 2), *ask(server, 2, guidance_scale=0), *ask(server, 1, scheduler="euler")]
        for job in jobs:
            server.wait_for(job, "completed", seconds=60)
        assert together(server)[before:] in ([2, 2], [2])  # without guidance it has not been measured alone

    def test_several_pictures_each(self, server: Server) -> None:
        before = len(together(server))
        with busy(server):
            first, second = (
                server.generate("two", num_outputs=2, steps=STEPS),
                server.generate("three", num_outputs=3, steps=STEPS),
            )
        assert len(server.wait_for(first, "completed", seconds=60)["images"]) == 2
        assert len(server.wait_for(second, "completed", seconds=60)["images"]) == 3
        assert together(server)[before:] == [5]

    def test_nobody_overtakes_who_cannot_share_for_long(self, server: Server) -> None:
        with busy(server):
            mine = ask(server, 3)
            other = server.generate("another size", steps=1, width=320, height=320)
            theirs = ask(server, 8)
        ended = {job: server.wait_for(job, "completed", seconds=60)["finished_at"] for job in [*mine, other, *theirs]}
        assert ended[other] < ended[theirs[-1]]


class TestLeaving:
    def test_the_first_leaves_and_the_others_go_on(self, server: Server) -> None:
        self.leave(server, 0)

    def test_another_leaves(self, server: Server) -> None:
        self.leave(server, 2)

    def leave(self, server: Server, which: int) -> None:
        before = len(together(server))
        with busy(server):
            jobs = ask(server, 4, steps=60)
        until_drawn(server, jobs[3])
        begun = time.monotonic()
        server.client.delete(f"/api/jobs/{jobs[which]}")
        assert server.wait_for(jobs[which], "cancelled", seconds=10)["images"] == []
        assert time.monotonic() - begun < 10
        others = [server.wait_for(job, seconds=60) for job in jobs if job != jobs[which]]
        assert [(job["status"], job["attempt"]) for job in others] == [("completed", 1)] * 3
        assert together(server)[before:] == [4]
        assert not list((server.data_dir / "staging").glob(f"{jobs[which]}*"))

    def test_when_all_leave_the_run_ends(self, server: Server) -> None:
        with busy(server):
            jobs = ask(server, 3, steps=190)
        until_drawn(server, jobs[2])
        for job in jobs:
            server.client.delete(f"/api/jobs/{job}")
        for job in jobs:
            server.wait_for(job, "cancelled", seconds=10)
        begun = time.monotonic()
        server.wait_for(server.generate("next", steps=1), "completed", seconds=20)
        assert time.monotonic() - begun < 8, "the worker was free again"


class TestFailing:
    def test_a_crash_condemns_only_whose_doing_it_is(self, server: Server) -> None:
        with busy(server):
            jobs = ask(server, 3)
            guilty = server.generate("fake:crash:sigsegv", steps=STEPS)
        ends = [server.wait_for(job, seconds=90) for job in jobs]
        assert [job["status"] for job in ends] == ["completed"] * 3
        assert {job["attempt"] for job in ends} == {2}
        end = server.wait_for(guilty, seconds=90)
        assert (end["status"], end["error"]["code"], end["attempt"]) == ("failed", "poison", 2)

    def test_what_fails_together_is_made_alone(self, server: Server) -> None:
        with busy(server):
            jobs = ask(server, 3)
            bad = server.generate("fake:fail:out_of_memory", steps=STEPS)
        ends = [server.wait_for(job, seconds=90) for job in jobs]
        assert [job["status"] for job in ends] == ["completed"] * 3
        end = server.wait_for(bad, seconds=90)
        assert (end["status"], end["error"]["code"]) == ("failed", "out_of_memory")


class TestNever:
    def test_an_administrator_can_turn_it_off(self, server: Server) -> None:
        changed = server.client.patch("/api/models/creatures", json={"load_options": {"share_batches": "never"}})
        assert changed.status_code == 200, changed.text
        try:
            before = len(together(server))
            with busy(server):
                jobs = ask(server, 4)
            for job in jobs:
                server.wait_for(job, "completed", seconds=60)
            assert len(together(server)) == before
        finally:
            server.client.patch("/api/models/creatures", json={"load_options": {}})


def test_a_setting_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ATELIER_SHARE_BATCHES='often' must be auto or never"):
        Server(tmp_path / "data", ATELIER_SHARE_BATCHES="often").start()
