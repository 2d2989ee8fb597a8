"""/api/chat: conversations, their messages and answers"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from atelier.access.actor import User
from atelier.chat.conversation_schemas import (
    AnswerFrame,
    ConversationDeletedOut,
    ConversationDetailOut,
    ConversationIn,
    ConversationOut,
    ConversationPage,
    ConversationPatchIn,
    Looked,
    MessageOut,
    ModelName,
    PictureRef,
    SayIn,
    SentOut,
)
from atelier.chat.exporting import FiledConversation
from atelier.deps import ServicesDep
from atelier.images.inputs import MAX_JSON_BYTES
from atelier.routing import Router

router = Router(prefix="/api/chat", tags=["chat"])

_STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_STREAMED = {
    200: {
        "model": AnswerFrame,
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Server-sent events, each an `AnswerFrame`.",
    }
}
_FILE = {200: {"content": {"application/json": {}, "text/markdown": {}}, "description": "The conversation as a file."}}


class AgainIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = None


@router.get("/conversations", summary="Your conversations: the pinned first, then what was last spoken in")
async def list_conversations(
    actor: User,
    services: ServicesDep,
    q: Annotated[str | None, Query(max_length=200, description="Words that the title or a message holds.")] = None,
    picture: Annotated[PictureRef | None, Query(description="A picture that one of its messages shows.")] = None,
    archived: Annotated[bool, Query(description="Those that were put away, instead of the others.")] = False,
    cursor: Annotated[str | None, Query(max_length=60, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many conversations at most.")] = 60,
) -> ConversationPage:
    looked = Looked(words=q or None, picture=picture, archived=archived)
    return await services.conversations.page(actor, looked, cursor=cursor, limit=limit)


@router.post("/conversations", status_code=201, summary="Begin a conversation, perhaps with a first message")
async def add_conversation(wanted: ConversationIn, actor: User, services: ServicesDep) -> ConversationDetailOut:
    return await services.conversations.add(actor, wanted)


@router.post(
    "/conversations/import",
    status_code=201,
    summary="Enter a conversation from a file that was exported as JSON",
    max_body_size=MAX_JSON_BYTES,
)
async def import_conversation(wanted: FiledConversation, actor: User, services: ServicesDep) -> ConversationDetailOut:
    return await services.conversation_files.read(actor, wanted)


@router.get("/conversations/{conversation_id}", summary="A conversation with all its branches")
async def get_conversation(conversation_id: str, actor: User, services: ServicesDep) -> ConversationDetailOut:
    return await services.conversations.get(actor, conversation_id)


@router.patch("/conversations/{conversation_id}", summary="Rename, pin, set up a conversation, choose a branch")
async def change_conversation(
    conversation_id: str, wanted: ConversationPatchIn, actor: User, services: ServicesDep
) -> ConversationOut:
    return await services.conversations.change(actor, conversation_id, wanted)


@router.delete("/conversations/{conversation_id}", summary="Delete a conversation; it can be restored for an hour")
async def delete_conversation(conversation_id: str, actor: User, services: ServicesDep) -> ConversationDeletedOut:
    return await services.conversations.delete(actor, conversation_id)


@router.post("/conversations/{conversation_id}/restore", summary="Take a conversation back out of the trash")
async def restore_conversation(conversation_id: str, actor: User, services: ServicesDep) -> ConversationOut:
    return await services.conversations.restore(actor, conversation_id)


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,
    responses=_FILE,
    summary="A conversation as a file",
)
async def export_conversation(
    conversation_id: str,
    actor: User,
    services: ServicesDep,
    format: Annotated[
        Literal["json", "markdown"], Query(description="`json`: every branch, with its pictures; can be imported.")
    ] = "json",
) -> Response:
    title = (await services.conversations.get(actor, conversation_id)).title
    if format == "json":
        filed = await services.conversation_files.as_json(actor, conversation_id)
        body, kind, ending = filed.model_dump_json(indent=1), "application/json", "json"
    else:
        body = await services.conversation_files.as_markdown(actor, conversation_id)
        kind, ending = "text/markdown; charset=utf-8", "md"
    name = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()[:60] or "conversation"
    return Response(body, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'})


@router.post("/conversations/{conversation_id}/messages", status_code=201, summary="Say something; the model answers")
async def add_message(conversation_id: str, wanted: SayIn, actor: User, services: ServicesDep) -> SentOut:
    """Both are safe on disk when this returns. The answer grows whether or not anybody follows it."""
    return await services.conversations.say(actor, conversation_id, wanted)


@router.get("/conversations/{conversation_id}/messages/{message_id}", summary="One message, as far as it is")
async def get_message(conversation_id: str, message_id: str, actor: User, services: ServicesDep) -> MessageOut:
    message = await services.conversations.message(actor, conversation_id, message_id)
    return services.conversations.answers.shown(message)


@router.get(
    "/conversations/{conversation_id}/messages/{message_id}/stream",
    response_class=StreamingResponse,
    responses=_STREAMED,
    summary="Follow an answer from all that there is to its end",
)
async def follow_answer(conversation_id: str, message_id: str, actor: User, services: ServicesDep) -> StreamingResponse:
    message = await services.conversations.message(actor, conversation_id, message_id)
    events = services.conversations.answers.follow(message)
    return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM)


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/again",
    status_code=201,
    summary="Another answer, beside those that there are",
)
async def answer_again(
    conversation_id: str, message_id: str, wanted: AgainIn, actor: User, services: ServicesDep
) -> SentOut:
    return await services.conversations.again(actor, conversation_id, message_id, wanted.model)


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/stop", summary="Stop an answer; what is there stays"
)
async def stop_answer(conversation_id: str, message_id: str, actor: User, services: ServicesDep) -> MessageOut:
    return await services.conversations.stop(actor, conversation_id, message_id)
