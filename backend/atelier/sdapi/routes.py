"""/sdapi/v1: drawing, how far it is, and the options."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query, Request

from atelier.access.actor import BasicAdmin, BasicUser
from atelier.deps import ServicesDep
from atelier.models.schemas import LoadIn
from atelier.routing import Router
from atelier.sdapi.envelope import ERRORS
from atelier.sdapi.progress import progress as progress_of
from atelier.sdapi.schemas import SdImagesOut, SdImageToImageIn, SdProgressOut, SdTextToImageIn
from atelier.sdapi.timed import TimedRoute

router = Router(prefix="/sdapi/v1", tags=["sdapi"], responses=ERRORS, route_class=TimedRoute, strict_content_type=False)

MAX_BODY_BYTES = 32 * 1024 * 1024


@router.post("/txt2img", summary="Make pictures from words", max_body_size=MAX_BODY_BYTES, name="sdapi_txt2img")
async def txt2img(wanted: SdTextToImageIn, request: Request, actor: BasicUser, services: ServicesDep) -> SdImagesOut:
    """The answer comes when the pictures are done; a caller that hangs up cancels them."""
    return await services.sdapi.text_to_image(actor, wanted, request.is_disconnected)


@router.post("/img2img", summary="Change a picture", max_body_size=MAX_BODY_BYTES, name="sdapi_img2img")
async def img2img(wanted: SdImageToImageIn, request: Request, actor: BasicUser, services: ServicesDep) -> SdImagesOut:
    """With a `mask` the part of the picture that is white in it."""
    return await services.sdapi.image_to_image(actor, wanted, request.is_disconnected)


@router.get("/progress", summary="How far the caller's pictures are", name="sdapi_progress")
async def progress(
    actor: BasicUser,
    services: ServicesDep,
    skip_current_image: Annotated[bool, Query(description="Leave the preview out.")] = False,
) -> SdProgressOut:
    with_image = not skip_current_image
    return await progress_of(services.jobs, services.sdapi.orders, actor, with_image=with_image)


@router.post("/interrupt", summary="End the caller's call that is under way", name="sdapi_interrupt")
async def interrupt(actor: BasicUser, services: ServicesDep) -> dict[str, Any]:
    await services.sdapi.interrupt(actor)
    return {}


@router.post("/skip", summary="End the batch that is being made", name="sdapi_skip")
async def skip(actor: BasicUser, services: ServicesDep) -> None:
    await services.sdapi.skip(actor)


@router.get("/options", summary="The caller's options", name="sdapi_get_options")
async def get_options(actor: BasicUser, services: ServicesDep) -> dict[str, Any]:
    return await services.sdapi.options.read(actor)


@router.post("/options", summary="Change some of them", name="sdapi_set_options")
async def set_options(given: Annotated[dict[str, Any], Body()], actor: BasicUser, services: ServicesDep) -> None:
    """`sd_model_checkpoint` (a title, name or hash), `CLIP_stop_at_last_layers`, `samples_format`; the rest is
    ignored, so a client may send back all that it read."""
    await services.sdapi.options.change(actor, given)


@router.post("/unload-checkpoint", summary="Give the memory of the chosen model back", name="sdapi_unload_checkpoint")
async def unload_checkpoint(actor: BasicAdmin, services: ServicesDep) -> dict[str, Any]:
    sdapi = services.sdapi
    checkpoint = await sdapi.options.checkpoint(actor, sdapi.options.chosen(actor))
    await services.loader.unload(actor, checkpoint.name)
    return {}


@router.post("/reload-checkpoint", summary="Load the chosen model", name="sdapi_reload_checkpoint")
async def reload_checkpoint(actor: BasicAdmin, services: ServicesDep) -> dict[str, Any]:
    sdapi = services.sdapi
    checkpoint = await sdapi.options.checkpoint(actor, sdapi.options.chosen(actor))
    await services.loader.load(actor, checkpoint.name, LoadIn())
    return {}
