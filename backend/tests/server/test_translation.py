"""Prompts in another language, through the chat of this server (with the fake engine)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from atelier.images.translation import read_prompt, seems_english
from chat_models import add_chat_model
from serving import Server

FRENCH = "un dragon rouge"


def told(answer: Any) -> str:
    """Words that make the fake engine answer with this as JSON."""
    return f"fake:say={quote(json.dumps(answer))}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("translation")
    with Server(folder / "data", TRANSLATION_MODEL="gpt", MODEL_ALIASES="gpt=echo") as server:
        add_chat_model(server, folder)
        server.client.post("/api/users", json={"name": "ana", "password": "a long pass word"})
        yield server


def translate(server: Server, text: str, **more: Any) -> dict[str, Any]:
    answer = server.client.post("/api/prompts/translate", json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestTranslating:
    def test_the_models_words_come_back(self, studio: Server) -> None:
        text = f"{FRENCH} {told({'prompt': 'a red  dragon'})}"
        expected = {"text": "a red dragon", "model": "gpt", "changed": True, "reason": None}
        assert translate(studio, text) == expected
        assert translate(studio, f"<lora:crown:0.7> {text}")["text"] == "a red dragon <lora:crown:0.7>"

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [({"prompt": None}, "not_sure"), ({"text": "x"}, "failed"), ({"prompt": ["x"]}, "failed"), ("hm", "failed")],
    )
    def test_an_answer_that_is_none_changes_nothing(self, studio: Server, answer: Any, reason: str) -> None:
        text = f"{FRENCH} {told(answer)}"
        assert translate(studio, text) == {"text": text, "model": "gpt", "changed": False, "reason": reason}

    def test_an_engine_that_refuses_changes_nothing(self, studio: Server) -> None:
        assert translate(studio, f"{FRENCH} fake:status=500")["reason"] == "failed"

    def test_english_is_asked_of_nobody(self, studio: Server) -> None:
        text = f"a dragon with wings {told({'prompt': 'other'})}"
        assert translate(studio, text) == {"text": text, "model": None, "changed": False, "reason": "english"}
        assert translate(studio, text, language="en")["reason"] == "english"
        assert translate(studio, text, language="fr")["text"] == "other", "whoever says that it is French is believed"

    @pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 2001}, {"text": "x", "language": "French"}])
    def test_what_is_no_request_is_refused(self, studio: Server, body: dict[str, str]) -> None:
        assert studio.client.post("/api/prompts/translate", json=body).status_code == 422


class TestSpanishApi:
    def draw(self, server: Server, text: str) -> dict[str, Any]:
        form = {"username": "ana", "password": "a long pass word"}
        token = server.client.post("/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = server.client.post("/generar-imagen-texto", json={"texto": text}, headers=headers)
        assert answer.status_code == 200, answer.text
        return server.client.get("/api/gallery").json()["items"][0]

    def test_it_draws_by_the_translation_and_keeps_what_was_typed(self, studio: Server) -> None:
        text = f"un gato azul {told({'prompt': 'a blue cat'})}"
        image = self.draw(studio, text)
        assert image["prompt"] == "a blue cat" and image["recipe"]["asked"] == {"typed_prompt": text}

    def test_a_translation_that_fails_stops_no_picture(self, studio: Server) -> None:
        image = self.draw(studio, "un gato azul")  # what the fake engine answers by itself is no JSON
        assert image["prompt"] == "un gato azul" and "asked" not in image["recipe"]


class TestSettings:
    def test_unasked_nobody_translates(self, tmp_path: Path) -> None:
        with Server(tmp_path / "data") as server:
            server.client.post("/api/users", json={"name": "ana", "password": "a long pass word"})
            assert TestSpanishApi().draw(server, FRENCH)["prompt"] == FRENCH
            server.stop()
        with Server(tmp_path / "data", TRANSLATION_MODEL="off") as server:
            assert translate(server, FRENCH) == {"text": FRENCH, "model": None, "changed": False, "reason": "no_model"}
            server.stop()
        with Server(tmp_path / "data", TRANSLATION_MODEL="somebody/else") as server:
            assert translate(server, FRENCH)["reason"] == "no_model"


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("a red dragon with wings on a blue background", True),
        ("portrait of an old man, dramatic light", True),
        ("masterpiece, best quality, 8k", False),
        ("un dragon rouge avec des ailes", False),
        ("un gato con sombrero", False),
        ("dragon rouge, ailes, fond bleu", False),
        ("a café in the rain", False),
        ("赤いドラゴン", False),
    ],
)
def test_what_seems_english(text: str, english: bool) -> None:
    assert seems_english(text) is english


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ('{"prompt": "a cat"}', "a cat"),
        ('Here you are:\n```json\n{"prompt": "a cat"}\n```', "a cat"),
        ('{"prompt": null}', None),
    ],
)
def test_how_an_answer_is_read(answer: str, prompt: str | None) -> None:
    assert read_prompt(answer) == prompt


@pytest.mark.parametrize("answer", ["", "a cat", "{", "{}", '{"prompt": ""}', '{"prompt": 5}', "}{", "[1]"])
def test_what_is_no_answer(answer: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_prompt(answer)
