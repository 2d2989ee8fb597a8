"""Pictures as clients of A1111 send them: base64, with or without the head of a `data:` URL."""

from __future__ import annotations

import base64
import binascii

from atelier.errors import BadRequest
from atelier.said import Said


def decoded(text: str, field: str) -> bytes:
    """The bytes of a picture. Raises BadRequest for what is no base64, and for addresses."""
    if text[:8].lower().startswith(("http://", "https://")):
        words = Said("Pictures are not fetched from addresses here.", "sdapi.no_address")
        raise BadRequest(words, field=field, hint="Send the picture itself, as base64.")
    body = text.partition(",")[2] if text[:5].lower() == "data:" else text
    try:
        data = base64.b64decode(body, validate=False)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        words = Said("Invalid encoded image", "sdapi.invalid_image")
        raise BadRequest(words, field=field, hint="Send a PNG, JPEG or WebP picture as base64.")
    return data
