"""Bad input: a clear 4xx that names the field, and the server goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import Server

PATH = "/api/generate/text-to-image"

WRONG_FIELDS: list[tuple[str, Any]] = [
    ("prompt", ""),
    ("prompt", "   \n"),
    ("prompt", "\u200b\0"),
    ("prompt", "a\0cat"),
    ("prompt", "x" * 2001),
    ("prompt", None),
    ("prompt", 7),
    ("prompt", ["a"]),
    ("negative_prompt", "x" * 2001),
    ("negative_prompt", "\0"),
    ("negative_prompt", "\ud800"),
    ("num_outputs", 0),
    ("num_outputs", 9),
    ("num_outputs", 10**9),
    ("num_outputs", -1),
    ("num_outputs", 1.5),
    ("num_outputs", "many"),
    ("steps", 0),
    ("steps", -1),
    ("steps", 201),
    ("guidance_scale", -0.1),
    ("guidance_scale", 30.1),
    ("width", 100000),
    ("width", 257),
    ("width", 0),
    ("height", -64),
    ("height", 2048),
    ("seed", -1),
    ("seed", 2**32),
    ("scheduler", "nonsense"),
    ("scheduler", "flow_euler"),
    ("format", "svg"),
    ("model", ""),
    ("model", "../../etc/passwd"),
    ("owner_id", "somebody"),
    ("status", "completed"),
]


class TestGenerate:
    @pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=[f"{f}={str(v)[:12]!r}" for f, v in WRONG_FIELDS])
    def test_the_field_is_named(self, server: Server, field: str, value: Any) -> None:
        body = json.dumps({"prompt": "a cat", field: value})  # in ASCII: half of a pair can be written in no other way
        answer = server.client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {404, 422}
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert [item["field"] for item in problem["errors"]] == [field]
        assert field in problem["detail"] or problem["code"] == "model_not_found"
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert problem["hint"]

    def test_every_wrong_field_is_listed(self, server: Server) -> None:
        answer = server.client.post(PATH, json={"prompt": "", "steps": -1, "num_outputs": 9})
        assert {item["field"] for item in answer.json()["errors"]} == {"prompt", "steps", "num_outputs"}

    def test_so_are_those_that_only_the_model_knows(self, server: Server) -> None:
        wrong = {
            "width": 5,
            "height": 7,
            "scheduler": "nonsense",
            "styles": ["none such"],
            "loras": [{"model": "none"}, {"model": "such"}],
            "hires": {"scale": 4, "upscaler": "none", "scheduler": "neither"},
        }
        answer = server.client.post(PATH, json={"prompt": "a cat", **wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
        problem = answer.json()
        named = [item["field"] for item in problem["errors"]]
        assert sorted(named) == sorted(
            ["width", "height", "scheduler", "styles", "loras.0.model", "loras.1.model", "hires.upscaler"]
            + ["hires.scheduler"]
        )
        assert all(item["message"] in problem["detail"] and item["said"] for item in problem["errors"])
        assert "Leave width out" in problem["hint"] and "Leave height out" in problem["hint"]

    def test_a_picture_that_is_gone_does_not_hide_the_rest(self, server: Server) -> None:
        gone = {"image": "img_" + "0" * 20, "scheduler": "nonsense", "upscaler": "none"}
        answer = server.client.post("/api/generate/upscale", json={"prompt": "a cat", **gone})
        assert [item["field"] for item in answer.json()["errors"]] == ["scheduler", "image", "upscaler"]

    def test_unknown_model_says_which_exist(self, server: Server) -> None:
        answer = server.client.post(PATH, json={"prompt": "a cat", "model": "sdxl"})
        assert answer.status_code == 404
        assert answer.json()["code"] == "model_not_found"
        assert "creatures" in answer.json()["hint"]

    @pytest.mark.parametrize("body", [b'{"prompt": "a', b"", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 50000])
    def test_broken_json(self, server: Server, body: bytes) -> None:
        answer = server.client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}
        assert answer.json()["code"] in {"invalid_json", "validation_failed"}
        assert answer.json()["errors"][0]["field"].startswith("body")

    @pytest.mark.parametrize(
        ("body", "words"),
        [(b"[" * 50000, "nested"), (b'{"seed": ' + b"9" * 5000 + b"}", "digits"), (b'"\xe9"', "UTF-8")],
    )
    def test_json_that_the_parser_gives_up_on(self, server: Server, body: bytes, words: str) -> None:
        answer = server.client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert words in answer.json()["errors"][0]["message"]

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_are_none(self, server: Server, number: str) -> None:
        body = f'{{"prompt": "a cat", "guidance_scale": {number}}}'
        answer = server.client.post(PATH, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}

    def test_a_form_is_not_json(self, server: Server) -> None:
        answer = server.client.post(
            PATH, content="prompt=a", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in {415, 422}

    @pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
    def test_a_body_of_50_megabytes(self, server: Server, declared: bool) -> None:
        chunk = b"x" * 1024 * 1024
        content: Any = chunk * 50 if declared else (chunk for _ in range(50))
        try:
            answer = server.client.post(PATH, content=content, headers={"content-type": "application/json"})
        except Exception as error:  # the server may hang up before all was sent; that is a refusal as well
            assert "closed" in str(error).lower() or "reset" in str(error).lower() or "pipe" in str(error).lower(), (
                error
            )
        else:
            assert answer.status_code == 413
            problem = answer.json()
            assert problem["code"] == "body_too_large" and problem["hint"]
            assert [item["field"] for item in problem["errors"]] == ["body"] and "2 MiB" in problem["detail"]
        assert server.client.get("/health").json()["status"] == "ok"

    def test_the_key_has_a_limit(self, server: Server) -> None:
        answer = server.client.post(PATH, json={"prompt": "x"}, headers={"Idempotency-Key": "k" * 201})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "header.idempotency-key"


class TestElsewhere:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/jobs/nonsense",
            "/api/jobs/..%2f..%2fetc%2fpasswd",
            "/api/generate/job_0",
            "/api/gallery/%00",
            "/api/gallery/img_x/file",
            "/api/gallery/../../etc/passwd",
            "/api/nothing",
        ],
    )
    def test_what_is_not_there(self, server: Server, path: str) -> None:
        answer = server.client.get(path)
        assert answer.status_code == 404
        assert answer.json()["code"].endswith("not_found")
        assert "root:" not in answer.text

    @pytest.mark.parametrize(
        ("path", "params", "field"),
        [
            ("/api/gallery", {"limit": 0}, "query.limit"),
            ("/api/gallery", {"limit": 201}, "query.limit"),
            ("/api/gallery", {"cursor": "1 OR 1=1"}, "query.cursor"),
            ("/api/gallery", {"cursor": "9" * 30}, "query.cursor"),
            ("/api/gallery", {"cursor": "²"}, "query.cursor"),
            ("/api/jobs", {"cursor": "٣"}, "query.cursor"),
            ("/api/gallery", {"q": "x" * 201}, "query.q"),
            ("/api/jobs", {"status": "asleep"}, "query.status.0"),
            ("/api/jobs", {"cursor": "-1"}, "query.cursor"),
        ],
    )
    def test_query_parameters(self, server: Server, path: str, params: dict[str, Any], field: str) -> None:
        answer = server.client.get(path, params=params)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field

    def test_wrong_method(self, server: Server) -> None:
        answer = server.client.put("/api/jobs", json={})
        assert answer.status_code == 405
        assert answer.json()["code"] == "method_not_allowed"

    def test_sql_in_a_search_is_text(self, server: Server) -> None:
        answer = server.client.get("/api/gallery", params={"q": "' OR 1=1; DROP TABLE images; --"})
        assert answer.json()["items"] == []
        assert server.client.get("/api/gallery").status_code == 200
