"""Chat through `/v1` with OpenAI's own client, and Open WebUI's calls. The engine is the fake one: what is proved here
is that the client finds everything where it looks for it; what models say is proved with real ones."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from chat_models import add_chat_model, add_embedding_model
from openai import APIError
from pydantic import BaseModel
from serving import Server

KEY = "sk-openai-chat-1"
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "make_picture",
        "description": "Draws a picture.",
        "parameters": {
            "type": "object",
            "properties": {"prompt": {"type": "string"}},
            "required": ["prompt"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the chat model `echo`, the embedding model `vectors`, and a key."""
    folder = tmp_path_factory.mktemp("openai-chat")
    with Server(folder / "data", OPENAI_API_KEYS=KEY, MODEL_ALIASES="gpt-4o-mini=echo") as server:
        add_chat_model(server, folder)
        add_embedding_model(server, folder)
        yield server


@pytest.fixture(scope="module")
def client(studio: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{studio.url}/v1", api_key=KEY, timeout=60, max_retries=0) as one:
        yield one


def say(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": "echo", "messages": HELLO} | more)


class TestChat:
    def test_an_answer_with_its_figures_and_its_request_id(self, client: openai.OpenAI) -> None:
        answer = say(client)
        assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
        assert answer.usage.completion_tokens == 8 and answer._request_id

    def test_a_stream_says_the_same_piece_by_piece(self, client: openai.OpenAI) -> None:
        whole = say(client).choices[0].message.content
        with client.chat.completions.stream(
            model="echo", messages=HELLO, stream_options={"include_usage": True}
        ) as stream:
            pieces = [event.delta for event in stream if event.type == "content.delta"]
            final = stream.get_final_completion()
        assert "".join(pieces) == whole == final.choices[0].message.content and sum(map(bool, pieces)) == 8
        assert final.usage is not None and final.usage.completion_tokens == 8

    def test_several_answers_at_once(self, client: openai.OpenAI) -> None:
        answer = say(client, n=3, seed=7)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]

    def test_stop_and_the_limit_of_tokens(self, client: openai.OpenAI) -> None:
        words = say(client).choices[0].message.content.split()
        stop = words[-2]
        assert say(client, stop=stop).choices[0].message.content.split() == words[: words.index(stop)]
        short = say(client, max_completion_tokens=3).choices[0]
        assert short.finish_reason == "length" and len(short.message.content.split()) == 3

    def test_logprobs(self, client: openai.OpenAI) -> None:
        content = say(client, logprobs=True, top_logprobs=1).choices[0].logprobs.content
        assert len(content) == 8 and all(one.logprob <= 0 for one in content)

    def test_reasoning_stands_apart_under_both_names(self, client: openai.OpenAI) -> None:
        message = say(client, extra_body={"fake": {"reasoning": 3}}).choices[0].message
        assert len(message.reasoning.split()) == 3 and message.reasoning not in message.content

    def test_at_the_same_time_without_threads(self, studio: Server) -> None:
        async def ask() -> list[str]:
            async with openai.AsyncOpenAI(base_url=f"{studio.url}/v1", api_key=KEY) as client:
                asked = [
                    client.chat.completions.create(model="echo", messages=[{"role": "user", "content": f"Hello {at}"}])
                    for at in range(8)
                ]
                stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
                pieces = [event.choices[0].delta.content or "" async for event in stream if event.choices]
                answers = await asyncio.gather(*asked)
            return ["".join(pieces), *(answer.choices[0].message.content or "" for answer in answers)]

        assert len(set(asyncio.run(ask()))) == 9


class TestTools:
    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "make_picture"}}])
    def test_a_tool_that_must_be_called(self, client: openai.OpenAI, choice: Any) -> None:
        chosen = say(client, tools=[TOOL], tool_choice=choice).choices[0]
        (call,) = chosen.message.tool_calls
        assert call.function.name == "make_picture" and '"prompt"' in call.function.arguments

    def test_a_tool_that_may_be_called(self, client: openai.OpenAI) -> None:
        assert not say(client, tools=[TOOL], tool_choice="auto").choices[0].message.tool_calls
        called = say(client, tools=[TOOL], tool_choice="auto", extra_body={"fake": {"tool": 1}}).choices[0]
        assert called.finish_reason == "tool_calls"
        messages = [
            *HELLO,
            called.message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": called.message.tool_calls[0].id, "content": "done"},
        ]
        assert say(client, messages=messages, tools=[TOOL]).choices[0].message.content

    def test_a_call_comes_in_pieces(self, client: openai.OpenAI) -> None:
        with client.chat.completions.stream(
            model="echo", messages=HELLO, tools=[TOOL], tool_choice="required"
        ) as stream:
            done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        assert done[0].name == "make_picture" and "prompt" in done[0].parsed_arguments

    def test_an_answer_of_a_shape(self, client: openai.OpenAI) -> None:
        class Card(BaseModel):
            name: str
            species: Literal["dragon", "cat"]

        parsed = client.chat.completions.parse(model="echo", messages=HELLO, response_format=Card)
        assert parsed.choices[0].message.parsed == Card(name=parsed.choices[0].message.parsed.name, species="dragon")


class TestOtherRoutes:
    def test_completions(self, client: openai.OpenAI) -> None:
        answer = client.completions.create(model="echo", prompt="Once upon a time", max_tokens=4)
        assert len(answer.choices[0].text.split()) == 4
        pieces = client.completions.create(model="echo", prompt="Once upon a time", stream=True)
        assert sum(bool(piece.choices and piece.choices[0].text) for piece in pieces) == 8

    def test_responses(self, client: openai.OpenAI) -> None:
        answer = client.responses.create(model="echo", input="Hello", instructions="Be brief.")
        assert answer.status == "completed" and answer.output_text
        with client.responses.stream(model="echo", input="Hello") as stream:
            deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas)

    def test_embeddings_in_base64_and_in_numbers(self, client: openai.OpenAI) -> None:
        made = client.embeddings.create(model="vectors", input=["a cat", "a fish"])  # the client asks for base64
        numbers = client.embeddings.create(model="vectors", input=["a cat", "a fish"], encoding_format="float")
        assert [one.index for one in made.data] == [0, 1]
        for one, other in zip(made.data, numbers.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, rel=1e-6)
        raw = client.embeddings.create(model="vectors", input="a cat", encoding_format="base64")
        assert struct.unpack("8f", base64.b64decode(str(raw.data[0].embedding))) == pytest.approx(
            made.data[0].embedding
        )

    def test_models_and_aliases(self, client: openai.OpenAI) -> None:
        names = {model.id for model in client.models.list()}
        assert {"echo", "vectors", "creatures", "gpt-4o-mini"} <= names
        assert client.models.retrieve("gpt-4o-mini").id
        assert say(client, model="gpt-4o-mini").choices[0].message.content


class TestErrors:
    @pytest.mark.parametrize(
        ("more", "kind"),
        [
            ({"model": "nothing-of-that-name"}, openai.NotFoundError),
            ({"messages": []}, openai.BadRequestError),
            ({"max_tokens": -1}, openai.BadRequestError),
            ({"extra_body": {"fake": {"status": 500}}}, openai.InternalServerError),
        ],
    )
    def test_each_is_the_clients_own(self, client: openai.OpenAI, more: Any, kind: type[APIError]) -> None:
        with pytest.raises(kind) as error:
            say(client, **more)
        assert error.value.message and error.value.request_id
        assert isinstance(error.value.code, str | None), "vLLM's number would break clients that compare codes"

    def test_a_wrong_key(self, studio: Server) -> None:
        with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="sk-wrong", max_retries=0) as stranger:
            with pytest.raises(openai.AuthenticationError):
                say(stranger)

    def test_an_engine_that_dies_in_the_middle_ends_the_stream_with_an_error(self, client: openai.OpenAI) -> None:
        with pytest.raises(APIError):
            for _ in say(client, stream=True, extra_body={"fake": {"die_after": 2}}):
                pass
        assert say(client).choices[0].message.content, "and the next request works"


class TestOpenWebUI:
    """What it sends, by its source: the list of models, a stream, then titles and tags with a prompt of its own."""

    HEADERS = {"Authorization": f"Bearer {KEY}", "X-OpenWebUI-User-Name": "Ada", "X-OpenWebUI-User-Role": "admin"}

    def test_its_first_calls(self, studio: Server) -> None:
        listed = studio.client.get("/v1/models", headers=self.HEADERS).json()
        assert {"id", "object", "owned_by"} <= set(listed["data"][0])
        body = {
            "stream": True,
            "model": "echo",
            "messages": [{"role": "system", "content": "Be kind."}, *HELLO],
            "stream_options": {"include_usage": True},
            "temperature": 0.8,
            "stop": ["<end>"],
        }
        text = studio.client.post("/v1/chat/completions", json=body, headers=self.HEADERS).text
        assert text.rstrip().endswith("data: [DONE]") and '"usage"' in text

    def test_a_title_and_pictures_in_the_question(self, studio: Server) -> None:
        pixel = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": pixel}}]
        body = {"model": "echo", "messages": [{"role": "user", "content": parts}], "stream": False, "max_tokens": 50}
        answer = studio.client.post("/v1/chat/completions", json=body, headers=self.HEADERS)
        assert answer.status_code == 200 and "1 picture" in answer.json()["choices"][0]["message"]["content"]


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
