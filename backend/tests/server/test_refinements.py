"""Variations of a seed, and a second pass over the enlarged picture: what is decided, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from atelier.images.tasks import _words
from engines import protocol
from serving import Server


def resolved(server: Server, **wanted: Any) -> dict[str, Any]:
    answer = server.client.post("/api/generate/text-to-image", json={"prompt": "a fox", "steps": 2, **wanted})
    assert answer.status_code == 202, answer.text
    job = server.wait_for(answer.json()["job_id"])
    assert job["status"] == "completed", job["error"]
    return job["request"]["resolved"]


def refused(server: Server, task: str = "text-to-image", **wanted: Any) -> dict[str, Any]:
    answer = server.client.post(f"/api/generate/{task}", json={"prompt": "a fox", **wanted})
    assert answer.status_code == 422, answer.text
    return answer.json()["errors"][0]


def test_each_picture_varies_by_a_subseed_of_its_own(server: Server) -> None:
    told = resolved(server, num_outputs=3, seed=7, subseed=2**32 - 2, subseed_strength=0.2)
    assert told["seeds"] == [7, 8, 9]
    assert (told["subseeds"], told["subseed_strength"]) == ([2**32 - 2, 2**32 - 1, 0], 0.2)
    drawn = resolved(server, num_outputs=2, subseed_strength=0.2)["subseeds"]
    assert drawn[1] == (drawn[0] + 1) % 2**32


def test_nothing_is_decided_where_nothing_varies(server: Server) -> None:
    told = resolved(server, subseed=5)
    assert not {"subseeds", "subseed_strength", "hires"} & set(told)


def test_the_second_pass_has_a_size_and_the_steps_of_the_first(server: Server) -> None:
    told = resolved(server, width=256, height=384, hires={"scale": 1.5, "strength": 0.4})
    assert (told["width"], told["height"]) == (256, 384)
    assert told["hires"] == {"width": 384, "height": 576, "steps": 2, "strength": 0.4, "upscaler": "lanczos"}
    assert protocol.Hires(**told["hires"]).width == 384


def test_the_engine_is_told(server: Server) -> None:
    told = _words(resolved(server, seed=1, subseed=2, subseed_strength=0.5))
    assert told == {"prompt": "a fox", "negative_prompt": "", "subseeds": [2], "subseed_strength": 0.5}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"subseed_strength": 1.01}, "subseed_strength"),
        ({"subseed_strength": -0.01}, "subseed_strength"),
        ({"subseed_strength": "NaN"}, "subseed_strength"),
        ({"subseed": 2**32}, "subseed"),
        ({"hires": {"scale": 1}}, "hires.scale"),
        ({"hires": {"scale": 4.01}}, "hires.scale"),
        ({"hires": {"strength": 0}}, "hires.strength"),
        ({"hires": {"steps": 201}}, "hires.steps"),
        ({"hires": {"upscaler": "magic"}}, "hires.upscaler"),
        ({"hires": {"more": 1}}, "hires.more"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(server: Server, wanted: dict[str, Any], field: str) -> None:
    assert refused(server, **wanted)["field"] == field


def test_a_picture_that_is_made_larger_has_no_second_pass(server: Server) -> None:
    error = refused(server, "upscale", image="img_" + "0" * 20, hires={"scale": 2})
    assert error["field"] == "hires"
