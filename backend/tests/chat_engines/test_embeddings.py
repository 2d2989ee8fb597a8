"""Embeddings by vLLM: a BERT of random weights through the registry and `/v1`, with the official client."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from atelier.runtime.engines import EngineName
from tests.chat_engines.conftest import Studio
from tests.chat_engines.running import loaded, not_built

MODEL, SIZE = "embeds", 64


@pytest.fixture(scope="module")
def client(studio: Studio, tiny: Path) -> Iterator[openai.OpenAI]:
    if reason := not_built(EngineName.VLLM_CPU_CHAT):
        pytest.skip(reason)
    studio.enter(tiny / "embeds", MODEL)
    shown = loaded(studio, MODEL)
    assert shown["task"] == "embed" and shown["chat"]["engine"] == EngineName.VLLM_CPU_CHAT
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", timeout=120, max_retries=0) as one:
        yield one
    studio.unload(MODEL)


def test_texts_in_base64_and_in_numbers(client: openai.OpenAI) -> None:
    texts = ["a red dragon", "a white ghost", "a red dragon"]
    made = client.embeddings.create(model=MODEL, input=texts)  # the client asks for base64, and reads it
    numbers = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    assert made.model == MODEL and made.usage.prompt_tokens > 0 and [one.index for one in made.data] == [0, 1, 2]
    for one, other in zip(made.data, numbers.data, strict=True):
        assert len(one.embedding) == SIZE and one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert made.data[0].embedding == pytest.approx(made.data[2].embedding, abs=1e-2)
    assert made.data[0].embedding != pytest.approx(made.data[1].embedding, abs=1e-2)
    raw = client.embeddings.create(model=MODEL, input="a red dragon", encoding_format="base64").data[0].embedding
    assert struct.unpack(f"<{SIZE}f", base64.b64decode(str(raw))) == pytest.approx(made.data[0].embedding, abs=1e-2)


def test_tokens_instead_of_texts(client: openai.OpenAI, studio: Studio) -> None:
    body = {"model": MODEL, "prompt": "a red dragon"}
    tokens = studio.client.post("/v1/tokenize", json=body).json()["tokens"]
    by_text = client.embeddings.create(model=MODEL, input="a red dragon").data[0].embedding
    assert client.embeddings.create(model=MODEL, input=tokens).data[0].embedding == pytest.approx(by_text, abs=1e-2)
    several = client.embeddings.create(model=MODEL, input=[tokens, tokens[:3]])
    assert len(several.data) == 2 and several.data[0].embedding == pytest.approx(by_text, abs=1e-2)


def test_fewer_dimensions(client: openai.OpenAI) -> None:
    """Of a model that was made for it (`is_matryoshka`): the first ones."""
    whole = client.embeddings.create(model=MODEL, input="a red dragon").data[0].embedding
    few = client.embeddings.create(model=MODEL, input="a red dragon", dimensions=8).data[0].embedding
    assert few == pytest.approx(whole[:8], abs=1e-2)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input="a", dimensions=SIZE + 1)


def test_what_is_wrong_is_said(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input="word " * 400)
    with pytest.raises(openai.BadRequestError) as chats:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert "no model of the kind embed answers it. Choose a model of the kind chat" in str(chats.value)
    with pytest.raises(openai.BadRequestError) as embeds:
        client.embeddings.create(model="lore", input="a")
    assert "Choose a model of the kind embed" in str(embeds.value)
    assert client.embeddings.create(model=MODEL, input="a").data, "and the next request works"
