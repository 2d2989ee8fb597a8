"""Pictures that come as text: base64, with or without the head of a `data:` URL, or an address to fetch."""

from __future__ import annotations

import base64
import binascii

from atelier.errors import BadRequest
from atelier.said import Said


def is_address(text: str) -> bool:
    """Whether it is meant to be fetched."""
    return text[:8].lower().startswith(("http://", "https://"))


def decoded(text: str, field: str) -> bytes:
    """The bytes of a picture. Raises BadRequest for what is no base64."""
    body = text.partition(",")[2] if text[:5].lower() == "data:" else text
    try:
        data = base64.b64decode(body, validate=False)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        words = Said("Invalid encoded image", "sdapi.invalid_image")
        raise BadRequest(words, field=field, hint="Send a PNG, JPEG or WebP picture as base64.")
    return data
