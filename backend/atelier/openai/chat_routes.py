"""The routes of `/v1` that go to an engine, for the OpenAPI document.

`chat.door` stands in front of FastAPI and answers them. What comes here came past it: an id that no answer can have, or
a mistake of ours.
"""

from __future__ import annotations

from typing import Any

from atelier.access.actor import ApiUser
from atelier.chat.responses import ResponseNotFound
from atelier.openai.chat_schemas import (
    AnthropicMessageIn,
    ChatCompletionIn,
    CompletionIn,
    DetokenizeIn,
    EmbeddingIn,
    ResponseIn,
    TokenizeIn,
)
from atelier.openai.envelope import ERRORS
from atelier.routing import Router
from atelier.said import Said

router = Router(tags=["openai"], responses=ERRORS)
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "The engine's own answer, whole or as a stream."}
}


def _no_id() -> dict[str, Any]:
    words = Said("There is no such response.", "response_not_found")
    raise ResponseNotFound(words, hint="Engines keep them as long as their model is loaded.")


def _came_past() -> dict[str, Any]:
    raise RuntimeError("chat.door answers this route")


@router.post("/v1/chat/completions", summary="Answer in a chat", name="chat_completion", responses=STREAMED)
async def chat_completion(body: ChatCompletionIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/completions", summary="Continue a text", name="completion", responses=STREAMED)
async def completion(body: CompletionIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/responses", summary="Answer, as OpenAI's newer API does", name="response", responses=STREAMED)
async def response(body: ResponseIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.get("/v1/responses/{response_id}", summary="An answer that is kept", name="get_response")
async def get_response(response_id: str, _actor: ApiUser) -> dict[str, Any]:
    return _no_id()


@router.post("/v1/responses/{response_id}/cancel", summary="Stop an answer that is made", name="cancel_response")
async def cancel_response(response_id: str, _actor: ApiUser) -> dict[str, Any]:
    return _no_id()


@router.post("/v1/embeddings", summary="Vectors of texts", name="embeddings")
async def embeddings(body: EmbeddingIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/messages", summary="Answer, as Anthropic's API does", name="message", responses=STREAMED)
async def message(body: AnthropicMessageIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/messages/count_tokens", summary="Count a request's tokens", name="count_tokens")
async def count_tokens(body: AnthropicMessageIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/tokenize", include_in_schema=False, name="v1_tokenize")
@router.post("/tokenize", summary="Tokens of a text", name="tokenize")
async def tokenize(body: TokenizeIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()


@router.post("/v1/detokenize", include_in_schema=False, name="v1_detokenize")
@router.post("/detokenize", summary="The text of tokens", name="detokenize")
async def detokenize(body: DetokenizeIn, _actor: ApiUser) -> dict[str, Any]:
    return _came_past()
