"""Pictures within requests: looked at before an engine decodes them, by their content and not by what they are called.

Engines hand whatever they get to a library that reads eighty kinds of files and makes room for all pixels that a header
claims. What passes here is a PNG, JPEG, WebP or GIF of bounded bytes and pixels. Nothing is decoded: the header is read
as the library will read it.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator

from atelier.errors import BadRequest
from atelier.said import Said

MOST_BYTES = 25 * 1024 * 1024
MOST_PIXELS = 50_000_000
MOST_SIDE = 32_767
MOST_MARKERS = 4096
MOST_SCANS = 100

_SIZES_IN_JPEG = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


class PictureRefused(BadRequest):
    code = "picture_refused"


def check_data(field: str, data: object) -> None:
    """A picture as base64. Raises PictureRefused."""
    if data.__class__ is not str:
        raise _unreadable(field)
    if len(data) > MOST_BYTES // 3 * 4 + 4:  # type: ignore[arg-type]
        raise _too_large(field)
    try:
        if len(data) % 4:  # type: ignore[arg-type]
            raise ValueError
        raw = binascii.a2b_base64(data, strict_mode=True)  # type: ignore[arg-type]
    except ValueError:
        words = Said("The picture's data is no base64.", "chat.picture_base64")
        raise PictureRefused(words, field=field, hint="Send it without spaces and line breaks.") from None
    check(field, raw)


def check_data_url(field: str, url: str) -> None:
    """`data:image/…;base64,…`. Raises PictureRefused."""
    head, comma, data = url.partition(",")
    if not comma or head.count(";") != 1 or not head.lower().endswith(";base64"):
        words = Said("A picture must be given as a data URL.", "chat.picture_address")
        raise PictureRefused(words, field=field, hint="data:image/png;base64,…")
    check_data(field, data)


def check(field: str, raw: bytes) -> None:
    """A picture's file. Raises PictureRefused."""
    if len(raw) > MOST_BYTES:
        raise _too_large(field)
    try:
        width, height = _size(raw)
    except (IndexError, struct.error):
        raise _unreadable(field) from None
    except _NoPicture:
        words = Said("This is no PNG, JPEG, WebP or GIF picture.", "chat.picture_kind")
        hint = "Save it as one of these; what a file is, its content says, not its name."
        raise PictureRefused(words, field=field, hint=hint) from None
    if not width or not height:
        raise _unreadable(field)
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        most = MOST_PIXELS // 10**6
        words = Said(
            f"The picture has {width} × {height} pixels; {most} million are read at most.",
            "engine.picture_too_large",
            width=width,
            height=height,
            most=most,
        )
        raise PictureRefused(words, field=field, hint="Make it smaller and try again.")


class _NoPicture(Exception):
    pass


def _size(raw: bytes) -> tuple[int, int]:
    """Width and height. Raises _NoPicture for another kind of file, IndexError and struct.error for a broken one."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        if raw[12:16] != b"IHDR":
            raise IndexError
        return struct.unpack_from(">II", raw, 16)
    if raw.startswith(b"\xff\xd8\xff"):
        sizes = list(_jpeg_sizes(raw))
        return max(width for width, _ in sizes + [(0, 0)]), max(height for _, height in sizes + [(0, 0)])
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return _webp_size(raw)
    if raw[:6] in (b"GIF87a", b"GIF89a"):
        return _gif_size(raw)
    raise _NoPicture


def _jpeg_sizes(raw: bytes) -> Iterator[tuple[int, int]]:
    """Those of all frame headers in front of the first scan; readers take the last one."""
    if raw.count(b"\xff\xda") > MOST_SCANS:  # it may go over the whole picture as often as it likes
        raise IndexError
    at = 2
    for _ in range(MOST_MARKERS):
        if (at := raw.find(b"\xff", at)) < 0:
            break
        marker = raw[at + 1]
        if marker in (0xFF, 0x00):  # padding, or nothing
            at += 1 if marker else 2
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker == 0xDA:
            return
        else:
            if marker in _SIZES_IN_JPEG:
                height, width = struct.unpack_from(">HH", raw, at + 5)
                yield width, height
            at += 2 + max(2, struct.unpack_from(">H", raw, at + 2)[0])
    raise IndexError


def _webp_size(raw: bytes) -> tuple[int, int]:
    """From its first chunk (RFC 9649, section 2.7)."""
    kind = raw[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", raw, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise IndexError


def _gif_size(raw: bytes) -> tuple[int, int]:
    """The screen's, grown by a first frame that reaches beyond it."""
    width, height = struct.unpack_from("<HH", raw, 6)
    at = 13 + (3 << (raw[10] & 7) + 1 if raw[10] & 0x80 else 0)
    in_extension = False
    for _ in range(MOST_MARKERS):
        if in_extension:
            in_extension = raw[at] > 0  # blocks, the last one empty
            at += 1 + raw[at]
        elif raw[at] == 0x2C:
            left, top, wide, high = struct.unpack_from("<HHHH", raw, at + 1)
            return max(width, left + wide), max(height, top + high)
        elif raw[at] == 0x21:
            at, in_extension = at + 2, True
        else:
            break
    raise IndexError


def _too_large(field: str) -> PictureRefused:
    most = MOST_BYTES // 1024**2
    words = Said(f"The picture is larger than {most} MiB.", "chat.picture_bytes", most=most)
    return PictureRefused(words, field=field, hint="Make it smaller and try again.")


def _unreadable(field: str) -> PictureRefused:
    words = Said("The picture cannot be read: it is damaged, or made to do damage.", "engine.picture_unreadable")
    return PictureRefused(words, field=field, hint="Open it in a picture editor, save it anew and try again.")
