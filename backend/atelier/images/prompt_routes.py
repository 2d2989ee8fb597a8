"""/api/prompts and /api/styles"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from atelier.access.actor import User
from atelier.deps import ServicesDep
from atelier.images.prompt_schemas import (
    PromptList,
    PromptOut,
    PromptPatchIn,
    StyleIn,
    StyleList,
    StyleOut,
    TranslationIn,
    TranslationOut,
)
from atelier.routing import Router

router = Router(prefix="/api", tags=["prompts"])


@router.get("/prompts", summary="Prompts that you used, the last first")
async def list_prompts(
    actor: User,
    services: ServicesDep,
    q: Annotated[str | None, Query(max_length=200, description="Words that the prompt holds.")] = None,
    favourite: Annotated[bool | None, Query(description="Only those that are kept, or only the others.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 100,
) -> PromptList:
    return PromptList(items=await services.prompts.used(actor, q, favourite, limit))


@router.patch("/prompts/{prompt_id}", summary="Keep a prompt, or let it go")
async def change_prompt(prompt_id: str, wanted: PromptPatchIn, actor: User, services: ServicesDep) -> PromptOut:
    return await services.prompts.favour(actor, prompt_id, wanted.favourite)


@router.delete("/prompts/{prompt_id}", status_code=204, summary="Forget a prompt")
async def delete_prompt(prompt_id: str, actor: User, services: ServicesDep) -> None:
    await services.prompts.drop(actor, prompt_id)


@router.delete("/prompts", status_code=204, summary="Forget the history of prompts; favourites stay")
async def clear_prompts(actor: User, services: ServicesDep) -> None:
    await services.prompts.clear(actor)


@router.post("/prompts/translate", summary="A prompt in English")
async def translate_prompt(wanted: TranslationIn, actor: User, services: ServicesDep) -> TranslationOut:
    """By the chat model of TRANSLATION_MODEL, or by the one that ships with Atelier, which knows French and Spanish
    words about its creatures and says `not_sure` to all others. The first call loads the model."""
    done = await services.translator.english(actor, wanted.text, wanted.language)
    return TranslationOut(text=done.text, model=done.model, changed=done.text != wanted.text, reason=done.reason)


@router.get("/styles", summary="Your styles, by name")
async def list_styles(actor: User, services: ServicesDep) -> StyleList:
    return StyleList(items=await services.prompts.styles(actor))


@router.post("/styles", status_code=201, summary="Add a style")
async def add_style(wanted: StyleIn, actor: User, services: ServicesDep) -> StyleOut:
    return await services.prompts.add_style(actor, wanted)


@router.put("/styles/{style_id}", summary="Change a style")
async def change_style(style_id: str, wanted: StyleIn, actor: User, services: ServicesDep) -> StyleOut:
    return await services.prompts.change_style(actor, style_id, wanted)


@router.delete("/styles/{style_id}", status_code=204, summary="Delete a style")
async def delete_style(style_id: str, actor: User, services: ServicesDep) -> None:
    await services.prompts.drop_style(actor, style_id)
