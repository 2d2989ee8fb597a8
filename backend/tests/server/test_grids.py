"""Grids: one job, its cells and its sheet; what is wrong with a value is said of that value."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image
from serving import Server

STEPS = {"field": "steps", "values": [1, 2, 3]}
GUIDANCE = {"field": "guidance_scale", "values": [2, 7.5]}


def ask(server: Server, request: dict[str, Any] | None = None, key: str | None = None, **axes: Any) -> Any:
    wanted = {"request": {"prompt": "a red fox", "width": 256, "height": 320, **(request or {})}, **axes}
    headers = {"Idempotency-Key": key} if key else {}
    return server.client.post("/api/grids", json=wanted, headers=headers)


def made(server: Server, **how: Any) -> list[dict[str, Any]]:
    answer = ask(server, **how)
    assert answer.status_code == 202, answer.text
    job = server.wait_for(answer.json()["job_id"], seconds=60)
    assert job["status"] == "completed", job["error"]
    assert job["kind"] == "image.grid"
    return job["images"]


class TestGrid:
    def test_cells_and_their_sheet(self, server: Server) -> None:
        *cells, sheet = made(server, x=STEPS, y=GUIDANCE)
        assert [(one["recipe"]["steps"], one["recipe"]["guidance_scale"]) for one in cells] == [
            (1, 2), (2, 2), (3, 2), (1, 7.5), (2, 7.5), (3, 7.5),
        ]  # fmt: skip
        assert len({one["seed"] for one in cells}) == 1
        assert [one["index"] for one in [*cells, sheet]] == list(range(7))
        labels = {"x": ["steps 1", "steps 2", "steps 3"], "y": ["guidance scale 2", "guidance scale 7.5"]}
        assert sheet["recipe"]["grid"] == {"x": "steps", "y": "guidance_scale", "labels": labels, "columns": 3}
        for one in (cells[5], sheet):
            data = server.client.get(one["url"]).content
            assert len(data) == one["bytes"]
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.size == (one["width"], one["height"])
            assert server.client.get(one["thumbnail_url"]).status_code == 200
        assert sheet["width"] > 3 * 256 and sheet["height"] > 2 * 320
        found = server.client.get("/api/gallery", params={"limit": 7}).json()["items"]
        assert {one["id"] for one in found} == {one["id"] for one in [*cells, sheet]}

    def test_words_are_replaced(self, server: Server) -> None:
        *cells, _ = made(server, x={"field": "prompt_sr", "values": ["red", "blue", "very old"]})
        assert [one["prompt"] for one in cells] == ["a red fox", "a blue fox", "a very old fox"]

    def test_seeds_are_what_the_axis_says(self, server: Server) -> None:
        *cells, sheet = made(server, request={"steps": 1}, x={"field": "seed", "values": [5, 9]})
        assert [one["seed"] for one in cells] == [5, 9]
        accepted = server.client.post(f"/api/gallery/{cells[1]['id']}/verify")
        assert server.wait_for(accepted.json()["job_id"])["status"] == "completed"
        assert server.client.get(f"/api/gallery/{cells[1]['id']}").json()["verified"]["result"] == "same_bytes"
        refused = server.client.post(f"/api/gallery/{sheet['id']}/verify")
        assert (refused.status_code, refused.json()["said"]["code"]) == (422, "verify.sheet")

    def test_each_cell_starts_from_the_picture_and_strength_is_an_axis(self, server: Server) -> None:
        start = server.wait_for(server.generate("a red fox", width=256, height=320))["images"][0]
        *cells, sheet = made(
            server, start={"image": start["id"], "fit": "pad"}, x={"field": "strength", "values": [0.2, 0.9]}
        )
        assert [one["recipe"]["start"]["strength"] for one in cells] == [0.2, 0.9]
        assert {one["recipe"]["start"]["fit"] for one in cells} == {"pad"}
        assert {one["parent_id"] for one in [*cells, sheet]} == {start["id"]}

    def test_the_sheet_says_in_itself_what_it_is(self, server: Server) -> None:
        *_, sheet = made(server, x=STEPS)
        with Image.open(io.BytesIO(server.client.get(sheet["url"]).content)) as picture:
            told = json.loads(picture.text["atelier"])
            assert told["grid"] == sheet["recipe"]["grid"] and told["prompt"] == "a red fox"
            assert picture.text["parameters"].startswith("a red fox")

    def test_the_same_key_is_the_same_grid(self, server: Server) -> None:
        axis = {"field": "seed", "values": [1, 2]}
        answers = [ask(server, request={"steps": 1}, key="grid-1", x=axis).json()["job_id"] for _ in range(2)]
        assert answers[0] == answers[1]
        server.wait_for(answers[0])

    def test_also_where_the_seed_was_left_open(self, server: Server) -> None:
        axis = {"field": "steps", "values": [1]}
        answers = [ask(server, key="grid-2", x=axis) for _ in range(2)]
        assert [one.status_code for one in answers] == [202, 202], answers[1].text
        assert answers[0].json()["job_id"] == answers[1].json()["job_id"]
        other = ask(server, key="grid-2", x={"field": "steps", "values": [2]})
        assert other.status_code == 409

    def test_one_cancel_ends_all_of_it(self, server: Server) -> None:
        job = ask(server, request={"steps": 200}, x={"field": "seed", "values": list(range(64))}).json()["job_id"]
        server.wait_for(job, "running")
        uses = server.client.get("/api/models/creatures/consequences").json()["jobs"]
        assert [one["id"] for one in uses] == [job], "a model's end would end it"
        server.client.delete(f"/api/jobs/{job}")
        ended = server.wait_for(job)
        assert (ended["status"], ended["images"]) == ("cancelled", [])
        assert not (server.data_dir / "images" / job).exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("axes", "field"),
        [
            ({"x": {"field": "steps", "values": [1, 201]}}, "x.values.1"),
            ({"x": STEPS, "y": {"field": "guidance_scale", "values": [1, 2, -1]}}, "y.values.2"),
            ({"x": {"field": "scheduler", "values": ["ddim", "none"]}}, "x.values.1"),
            ({"x": STEPS, "y": {"field": "model", "values": ["nobody"]}}, "y.values.0"),
            ({"x": {"field": "width", "values": [256, 257]}}, "x.values.1"),
            ({"x": {"field": "seed", "values": ["one"]}}, "x.values.0"),
            ({"x": {"field": "prompt_sr", "values": ["zebra", "cow"]}}, "x.values.0"),
            ({"x": {"field": "lora_weight", "values": [1], "lora": "nobody"}}, "x.values.0"),
            ({"x": {"field": "lora_weight", "values": [99], "lora": "nobody"}}, "x.values.0"),
            ({"x": {"field": "lora_weight", "values": [1]}}, "x"),
            ({"x": STEPS, "y": STEPS}, "body"),
            ({"x": {"field": "strength", "values": [0.5]}}, "body"),
            ({"x": STEPS, "start": {"image": "img_0123456789abcdef0123"}}, "start.image"),
            ({"x": {"field": "colour", "values": [1]}}, "x.field"),
            ({"x": {"field": "steps", "values": []}}, "x.values"),
            ({"x": {"field": "seed", "values": list(range(65))}}, "x.values"),
            ({"x": {"field": "seed", "values": list(range(22))}, "y": STEPS}, "x.values"),
        ],
    )  # fmt: skip
    def test_the_axis_and_the_value_are_named(self, server: Server, axes: dict[str, Any], field: str) -> None:
        before = server.client.get("/api/jobs").json()["items"][:1]
        answer = ask(server, **axes)
        assert answer.status_code in {404, 422}
        assert answer.json()["errors"][0]["field"] == field
        assert server.client.get("/api/jobs").json()["items"][:1] == before

    def test_what_is_wrong_beside_the_axes_is_named_too(self, server: Server) -> None:
        answer = ask(server, request={"height": 257}, x=STEPS)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "request.height")
