"""Pictures in a request for a chat engine, looked at before the engine decodes them: what they are and how large.

An engine's server opens whatever its library knows, dozens of formats, in the process that answers everybody. Here only
the first bytes are read, and of a JPEG its segments; nothing is decoded.
"""

from __future__ import annotations

import base64
import binascii

from atelier.errors import BadRequest
from atelier.said import Said

MOST_BYTES = 20 * 1024 * 1024
MOST_PIXELS = 50_000_000
MOST_SCANS = 64
"""A JPEG may go over the whole picture as often as it likes; honest ones do so ten times."""

HEAD_CHARACTERS = 64
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of a JPEG's segments that say its size (ITU T.81, table B.1)."""


def look_at(field: str, data: str) -> None:
    """`data`: a picture in base64. Raises BadRequest for one that is no PNG, JPEG, WebP or GIF, or too large."""
    if len(data) * 3 // 4 > MOST_BYTES:
        words = Said(f"A picture may have {MOST_BYTES >> 20} MiB at most.", "chat.picture_bytes", most=MOST_BYTES >> 20)
        raise BadRequest(words, field=field, hint="Make it smaller.")
    size = _size(_decoded(field, data[:HEAD_CHARACTERS]))
    if size is None and data.startswith("/9j"):
        size = _size_of_jpeg(_decoded(field, data))
    if size is None or 0 in size:
        words = Said("This is no PNG, JPEG, WebP or GIF picture.", "chat.picture_kind")
        raise BadRequest(words, field=field, hint="Save it as one of these, and send it in base64.")
    if size[0] * size[1] > MOST_PIXELS:
        width, height, most = *size, MOST_PIXELS // 10**6
        text = f"The picture has {width} × {height} pixels; {most} million are looked at at most."
        words = Said(text, "chat.picture_pixels", width=width, height=height, most=most)
        raise BadRequest(words, field=field, hint="Make it smaller.")


def _decoded(field: str, data: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError):
        words = Said("The picture is not in base64.", "chat.picture_base64")
        raise BadRequest(words, field=field, hint="data:image/png;base64,…") from None


def _size(head: bytes) -> tuple[int, int] | None:
    """Width and height by the first bytes of a PNG, a GIF or a WebP."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return _big(head[16:20]), _big(head[20:24])
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _little(head[6:8]), _little(head[8:10])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":  # RFC 9649, section 2.7
        match head[12:16]:
            case b"VP8X":
                return 1 + _little(head[24:27]), 1 + _little(head[27:30])
            case b"VP8L":
                bits = _little(head[21:25])
                return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            case b"VP8 ":
                return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
    return None


def _size_of_jpeg(raw: bytes) -> tuple[int, int] | None:
    if raw.count(b"\xff\xda") > MOST_SCANS:
        return None
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker in _SIZES:
            return _big(raw[at + 7 : at + 9]), _big(raw[at + 5 : at + 7])
        # A filler is one byte, a marker without a segment two.
        at += 1 if marker == 0xFF else 2 if marker == 0x01 or 0xD0 <= marker <= 0xD8 else 2 + _big(raw[at + 2 : at + 4])
    return None


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
