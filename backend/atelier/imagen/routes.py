"""POST /generar-imagen-texto and /generar-imagen-imagen. Both need a token of POST /token, everywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile

from atelier.access.actor import Actor, TokenUser
from atelier.deps import Services, ServicesDep
from atelier.errors import BadRequest
from atelier.images.inputs import MAX_UPLOAD_BYTES
from atelier.images.schemas import ImageToImageIn, InputOut, TextToImageIn, says_something
from atelier.images.transfer import in_pieces, stored_file
from atelier.images.written_pictures import is_address
from atelier.routing import Router
from atelier.said import Said

router = Router(tags=["imagen"])

MODEL = "stable-diffusion-1.5"
PICTURE_FIELDS, TEXT_FIELDS = ("imagen", "image", "file"), ("texto", "text", "prompt")
MAX_TEXT = 2000

_PICTURE = {200: {"content": {"image/png": {}}, "description": "The picture."}}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["imagen", "texto"],
                    "properties": {
                        "imagen": {"type": "string", "format": "binary", "description": "PNG, JPEG or WebP."},
                        "texto": {"type": "string", "maxLength": MAX_TEXT},
                    },
                }
            }
        },
    }
}


class TextIn(BaseModel):
    texto: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, description="What to draw.")]


@router.post("/generar-imagen-texto", response_class=FileResponse, responses=_PICTURE, summary="A picture from words")
async def image_from_text(wanted: TextIn, actor: TokenUser, services: ServicesDep, request: Request) -> FileResponse:
    """With Stable Diffusion 1.5 where it is installed, else with the model that ships with Atelier. Words in another
    language are translated where TRANSLATION_MODEL names a chat model. A client that hangs up cancels. Errors are
    `{"detail": …}`."""
    model, words = await _model(services, actor), await _translated(services, actor, _words(wanted.texto))
    return await _answer(services, actor, request, TextToImageIn(**words, **model))


@router.post(
    "/generar-imagen-imagen",
    response_class=FileResponse,
    responses=_PICTURE,
    summary="A picture from a picture and words",
    max_body_size=MAX_UPLOAD_BYTES,
    openapi_extra=_FORM,
)
async def image_from_image(actor: TokenUser, services: ServicesDep, request: Request) -> FileResponse:
    """The picture as the form's file `imagen` (or `image`, `file`), or there as a `data:` URL; the words as `texto` (or
    `text`, `prompt`)."""
    async with request.form(max_files=1, max_fields=8, max_part_size=MAX_UPLOAD_BYTES) as form:
        words = _words(_text_of(form))
        picture = await _picture_of(form, services, actor)
    model, said = await _model(services, actor), await _translated(services, actor, words)
    return await _answer(services, actor, request, ImageToImageIn(**said, image=picture.id, **model))


async def _answer(
    services: Services, actor: Actor, request: Request, wanted: TextToImageIn | ImageToImageIn
) -> FileResponse:
    accepted = await services.images.ask(actor, wanted, None)
    done = await services.images.finish(actor, accepted.job_id, request.is_disconnected)
    path, image = await services.gallery.file(actor, done.images[0].id, thumbnail=False)
    return stored_file(str(path), f"image/{image.format}")


async def _translated(services: Services, actor: Actor, text: str) -> dict[str, str]:
    """The prompt in English where a chat model is configured for that (TRANSLATION_MODEL), and what was typed."""
    if not services.translator.is_configured:
        return {"prompt": text}
    done = await services.translator.english(actor, text)
    return {"prompt": done.text} | ({"typed_prompt": text} if done.text != text else {})


async def _model(services: Services, actor: Actor) -> dict[str, str]:
    """This API's own model, where somebody installed it; otherwise the default of every request."""
    installed = any(row.key == MODEL and row.download_job is None for row in await services.models.rows(actor))
    return {"model": MODEL} if installed else {}


def _words(text: str) -> str:
    if "\0" in text or not says_something(text) or len(text) > MAX_TEXT:
        words = Said(f"The text has 1 to {MAX_TEXT} characters.", "imagen.text_unfit", max=MAX_TEXT)
        raise BadRequest(words, field="texto", hint="Say in a few words what to draw.")
    return text


def _text_of(form: FormData) -> str:
    given = (form.get(name) for name in TEXT_FIELDS)
    return next((value for value in given if isinstance(value, str)), "")


async def _picture_of(form: FormData, services: Services, actor: Actor) -> InputOut:
    for name in PICTURE_FIELDS:
        if isinstance(value := form.get(name), UploadFile):
            return await services.inputs.take(actor, in_pieces(value), field=name)
        if isinstance(value, str) and (value[:5].lower() == "data:" or is_address(value)):
            return await services.inputs.add_text(actor, value, field=name)
    words = Said("The form has no picture named `imagen`.", "imagen.picture_missing")
    raise BadRequest(words, field="imagen", hint="Send the picture as the form's file `imagen`.")
