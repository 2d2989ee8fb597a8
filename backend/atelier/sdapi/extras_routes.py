"""/sdapi/v1: what is done with a picture that is there."""

from __future__ import annotations

import asyncio

from fastapi import Request

from atelier.access.actor import BasicUser
from atelier.deps import ServicesDep
from atelier.images.delivery import encoded
from atelier.routing import Router
from atelier.sdapi import extras
from atelier.sdapi.envelope import ERRORS
from atelier.sdapi.routes import MAX_BODY_BYTES
from atelier.sdapi.schemas import (
    SdCaptionOut,
    SdExtrasBatchIn,
    SdExtrasBatchOut,
    SdExtrasSingleIn,
    SdExtrasSingleOut,
    SdImageIn,
    SdInterrogateIn,
    SdPngInfoOut,
)
from atelier.sdapi.timed import TimedRoute

router = Router(prefix="/sdapi/v1", tags=["sdapi"], responses=ERRORS, route_class=TimedRoute, strict_content_type=False)


@router.post(
    "/extra-single-image", summary="Make a picture larger", max_body_size=MAX_BODY_BYTES, name="sdapi_extra_single"
)
async def extra_single_image(
    wanted: SdExtrasSingleIn, request: Request, actor: BasicUser, services: ServicesDep
) -> SdExtrasSingleOut:
    """By `Lanczos`, `Nearest` or an upscaler of `/upscalers`. The result is no picture of the gallery."""
    picture = await extras.enlarged(
        actor, services.inputs, services.sdapi.enlarger, wanted, wanted.image, "image", request.is_disconnected
    )
    return SdExtrasSingleOut(html_info=extras.notes_of(wanted), image=encoded(picture))


@router.post(
    "/extra-batch-images", summary="Make pictures larger", max_body_size=MAX_BODY_BYTES, name="sdapi_extra_batch"
)
async def extra_batch_images(
    wanted: SdExtrasBatchIn, request: Request, actor: BasicUser, services: ServicesDep
) -> SdExtrasBatchOut:
    pictures = [
        await extras.enlarged(
            actor,
            services.inputs,
            services.sdapi.enlarger,
            wanted,
            one.data,
            f"imageList.{at}.data",
            request.is_disconnected,
        )
        for at, one in enumerate(wanted.imageList)
    ]
    return SdExtrasBatchOut(html_info=extras.notes_of(wanted), images=[encoded(picture) for picture in pictures])


@router.post(
    "/png-info", summary="Read what stands in a picture's file", max_body_size=MAX_BODY_BYTES, name="sdapi_png_info"
)
async def png_info(wanted: SdImageIn, _actor: BasicUser, services: ServicesDep) -> SdPngInfoOut:
    """Of PNG, JPEG and WebP. `parameters` is A1111's infotext, taken apart."""
    return await asyncio.to_thread(extras.png_info, await services.inputs.bytes_of(wanted.image, "image"))


@router.post("/interrogate", summary="Say what is on a picture", max_body_size=MAX_BODY_BYTES, name="sdapi_interrogate")
async def interrogate(wanted: SdInterrogateIn, actor: BasicUser, services: ServicesDep) -> SdCaptionOut:
    """Asked of a chat model that sees, whatever `model` says; refused where there is none."""
    return SdCaptionOut(caption=await services.sdapi.captions.caption(actor, wanted.image))
