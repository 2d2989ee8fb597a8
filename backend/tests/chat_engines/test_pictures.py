"""A model that sees, of random weights and a real architecture (Qwen3-VL), on each engine: pictures get there."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from atelier.chat.screening import Screen
from atelier.remote import RemoteImages
from atelier.runtime.engines import EngineName
from client_pictures import drawing, png
from tests.chat_engines.conftest import Studio
from tests.chat_engines.running import loaded, not_built

SEEING = (EngineName.VLLM_CPU_CHAT, EngineName.TRANSFORMERS_CHAT)
TOKENS_OF_A_PICTURE = 64 + 2
"""256 × 256 pixels in patches of 16, four of which are one token; and two words around them."""


def url_of(colour: str, form: str = "png") -> str:
    return f"data:image/{form};base64," + base64.b64encode(png(drawing(colour=colour))).decode()


def asked(*urls: str, text: str = "Describe this picture.") -> Any:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


@pytest.fixture(scope="module", params=SEEING, ids=lambda name: name.value)
def seeing(request: pytest.FixtureRequest, studio: Studio, tiny: Path) -> Iterator[str]:
    """The key of a model that sees, loaded."""
    if reason := not_built(request.param):
        pytest.skip(reason)
    key = f"sees-{request.param.value}".replace("_", "-")
    copied = shutil.copytree(tiny / "sees", tiny / key)
    studio.enter(copied, key, chat_engine=request.param.value)
    loaded(studio, key)
    yield key
    studio.unload(key)


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="none", timeout=120, max_retries=0) as one:
        yield one


def say(client: openai.OpenAI, model: str, messages: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model=model, messages=messages, **{"max_tokens": 12, "temperature": 0, **more}
    )


def test_describe_this_picture(client: openai.OpenAI, seeing: str) -> None:
    """What is said depends on the picture, and each takes its tokens of the context."""
    blue, again, black, none = (
        say(client, seeing, asked(*urls)) for urls in ((url_of("blue"),), (url_of("blue"),), (url_of("black"),), ())
    )
    said = [answer.choices[0].message.content for answer in (blue, again, black)]
    assert said[0] == said[1] != said[2]
    assert blue.usage.prompt_tokens - none.usage.prompt_tokens == TOKENS_OF_A_PICTURE
    two = say(client, seeing, asked(url_of("blue"), url_of("black")))
    assert two.usage.prompt_tokens - none.usage.prompt_tokens == 2 * TOKENS_OF_A_PICTURE


def test_in_a_stream_and_by_the_other_routes(client: openai.OpenAI, studio: Studio, seeing: str) -> None:
    whole = say(client, seeing, asked(url_of("blue"))).choices[0].message.content
    pieces = [
        piece.choices[0].delta.content or ""
        for piece in say(client, seeing, asked(url_of("blue")), stream=True)
        if piece.choices
    ]
    assert "".join(pieces).strip() == whole.strip()
    parts: Any = [{"type": "input_image", "image_url": url_of("blue")}, {"type": "input_text", "text": "What is this?"}]
    response = client.responses.create(model=seeing, input=[{"role": "user", "content": parts}], max_output_tokens=16)
    assert response.output_text
    data = url_of("blue").partition(",")[2]
    source = {"type": "base64", "media_type": "image/png", "data": data}
    block = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What?"}]}]
    answer = studio.client.post("/v1/messages", json={"model": seeing, "max_tokens": 5, "messages": block}, timeout=60)
    if "vllm" in seeing:
        assert answer.status_code == 200 and answer.json()["content"][0]["type"] == "text", answer.text
    else:
        assert answer.status_code == 400 and "no such route" in answer.json()["error"]["message"]


def test_a_picture_that_is_none_and_one_too_many(client: openai.OpenAI, seeing: str) -> None:
    broken = "data:image/png;base64," + base64.b64encode(png(drawing())[:60]).decode()
    for messages in (asked("data:image/png;base64,AAAA"), asked(*[url_of("blue")] * 5)):
        with pytest.raises(openai.BadRequestError):
            say(client, seeing, messages)
    with pytest.raises(openai.APIStatusError) as error:
        say(client, seeing, asked(broken))
    assert error.value.status_code in (400, 500)
    assert say(client, seeing, asked(url_of("blue"))).choices, "and the next request works"


def test_the_chat_page_s_conversation(studio: Studio, seeing: str) -> None:
    """ "Describe this picture": from an uploaded picture to an answer that is kept."""
    upload = studio.client.post("/api/inputs", content=png(drawing()), headers={"content-type": "image/png"})
    assert upload.status_code in (200, 201), upload.text
    message = {"content": "Describe this picture.", "pictures": [upload.json()["id"]]}
    begun = studio.client.post(
        "/api/chat/conversations", json={"model": seeing, "parameters": {"max_tokens": 12}, "message": message}
    )
    assert begun.status_code == 201, begun.text
    conversation = begun.json()["id"]
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        *_, answer = studio.client.get(f"/api/chat/conversations/{conversation}").json()["messages"]
        if answer["state"] != "growing":
            break
        time.sleep(0.1)
    assert answer["role"] == "assistant" and answer["state"] == "complete" and answer["content"], answer


def test_one_from_an_address(client: openai.OpenAI, seeing: str) -> None:
    """As a server does with ATELIER_REMOTE_IMAGES, but for the one address that is no public one: the engine gets the
    picture itself, and says what it says of one that was sent."""

    async def fetched() -> dict[str, Any]:
        async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = png(drawing(colour="blue"))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()

        target: Any = SimpleNamespace(
            name=seeing, task="chat", pictures=4, spec=SimpleNamespace(engine="vllm_cpu_chat")
        )
        async with await asyncio.start_server(give, "127.0.0.1", 0) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.png"
            body = {"model": seeing, "messages": asked(address)}
            fetch = RemoteImages(enabled=True, is_allowed=lambda _: True).data_url
            assert await Screen(fetch).look_over("/v1/chat/completions", body, target)
        return body

    by_address = asyncio.run(fetched())["messages"]
    answers = [say(client, seeing, messages) for messages in (by_address, asked(url_of("blue")))]
    assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
