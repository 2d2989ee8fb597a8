"""What was made to do damage to a decoder does none: its child stays small, and so does the server; caps are where they
are said to be."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from serving import Server
from tests.hostile.bombs import bombs
from tests.hostile.decoder_bombs import BOMBS, MIB, ODD_BUT_SOUND, grey_png, padded_png

PATIENCE = 20.0
"""Seconds. Five are the goal, on a machine that has nothing else to do."""


class Watch:
    """The most memory that the server's own process, and each process below it, had while it was looked at."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self._process.memory_info().rss
        self.server, self.child = self.before, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.02) and self._process.is_running():
            self.server = max(self.server, self._process.memory_info().rss)
            for child in self._process.children(recursive=True):
                try:
                    self.child = max(self.child, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("bombs") / "data") as running:
        yield running


def inputs(server: Server) -> list[Path]:
    return sorted((server.data_dir / "inputs").iterdir())


def upload(server: Server, data: bytes, **how: Any) -> Any:
    return server.client.post("/api/inputs", files={"file": ("a.png", data, "image/png")}, **how)


def test_bombs(server: Server) -> None:
    upload(server, grey_png(64, 64))  # what decodes is there already
    before, watch, slowest = inputs(server), Watch(server.pid), 0.0
    for name, make in {**{name: lambda data=data: data for name, data in bombs().items()}, **BOMBS}.items():
        data, begun = make(), time.monotonic()
        answer = upload(server, data)
        took = time.monotonic() - begun
        slowest = max(slowest, took)
        assert answer.status_code in {413, 415, 422}, (name, answer.status_code, answer.text)
        assert answer.json()["hint"] and answer.json()["errors"][0]["field"] == "file", name
        assert took < PATIENCE, (name, took)
        assert inputs(server) == before, f"{name}: something is left"
    watch.close()
    print(f"slowest {slowest:.2f} s, server +{(watch.server - watch.before) / MIB:.0f}, child {watch.child / MIB:.0f}")
    assert watch.server - watch.before <= 64 * MIB
    assert watch.child <= 512 * MIB
    assert server.client.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize("name", ODD_BUT_SOUND)
def test_hostile_notes_do_not_spoil_a_picture(server: Server, name: str) -> None:
    answer = upload(server, ODD_BUT_SOUND[name]())
    assert answer.status_code == 201, answer.text
    assert (answer.json()["width"], answer.json()["height"]) == (64, 64)


class TestCaps:
    """Each at its limit and one beyond."""

    def test_bytes(self, server: Server) -> None:
        assert upload(server, padded_png(25 * MIB)).status_code == 201
        answer = upload(server, padded_png(25 * MIB + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")

    def test_pixels(self, server: Server) -> None:
        answer = upload(server, grey_png(10_000, 5_000))
        assert (answer.status_code, answer.json()["width"]) == (201, 10_000)
        answer = upload(server, grey_png(10_000, 5_001))
        assert (answer.status_code, answer.json()["code"]) == (413, "picture_too_large")

    def test_parts(self, server: Server) -> None:
        fields = [(f"f{n}", (None, "x")) for n in range(5)]
        file = [("file", ("a.png", grey_png(64, 64)))]
        assert server.client.post("/api/inputs", files=[*fields[:4], *file]).status_code == 201
        for parts in ([*fields, *file], file * 2, [("f", (None, "x" * 4097)), *file], fields * 2000):
            answer = server.client.post("/api/inputs", files=parts)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_form")
        assert server.client.post("/api/inputs", files=[("f", (None, "x" * 4096)), *file]).status_code == 201

    @pytest.mark.parametrize(
        ("task", "field", "most", "beyond"),
        [
            ("image-to-image", "steps", 200, 201),
            ("image-to-image", "num_outputs", 8, 9),
            ("image-to-image", "strength", 1, 1.001),
            ("image-to-image", "strength", 0, -0.001),
            ("image-to-image", "guidance_scale", 30, 30.01),
            ("image-to-image", "seed", 2**32 - 1, 2**32),
            ("image-to-image", "subseed", 2**32 - 1, 2**32),
            ("image-to-image", "subseed_strength", 1, 1.001),
            ("image-to-image", "prompt", "x" * 2000, "x" * 2001),
            ("inpaint", "mask_blur", 64, 65),
            ("inpaint", "padding", 256, 257),
            ("outpaint", "left", 2048, 2049),
            ("outpaint", "bottom", 0, -1),
            ("outpaint", "feather", 128, 129),
            ("upscale", "scale", 4, 4.001),
            ("image-to-video", "frames", 64, 65),
            ("image-to-video", "frames", 2, 1),
            ("image-to-video", "fps", 60, 61),
            ("image-to-video", "motion", 255, 256),
            ("image-to-video", "noise", 1, 1.001),
        ],
    )
    def test_numbers(self, server: Server, task: str, field: str, most: Any, beyond: Any) -> None:
        # A picture that is not there: what is right with the fields comes as far as that.
        nowhere = f"inp_{'0' * 20}"
        wanted = {"prompt": "x", "image": nowhere, "mask": nowhere, "model": "creatures"}
        wanted = {name: value for name, value in wanted.items() if name != "mask" or task == "inpaint"}
        if task == "image-to-video":
            del wanted["prompt"]
        answer = server.client.post(f"/api/generate/{task}", json={**wanted, field: most})
        assert answer.status_code == 404, answer.text
        words = () if field == "prompt" else ("NaN",)
        for value in (beyond, 10**12, -(10**9), [most] * 1000, {}, *words):
            answer = server.client.post(f"/api/generate/{task}", json={**wanted, field: value})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), (value, answer.text)
