"""What stands in a picture's file beside its pixels: the texts that tools write there, A1111's and our own recipe.

PNG keeps them in text chunks under a keyword. JPEG and WebP have EXIF: A1111's text is the UserComment, our JSON the
ImageDescription. Nothing here decodes a pixel, and what is compressed is unpacked up to `MAX_TEXT_BYTES` only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MAX_TEXT_BYTES = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_DESCRIPTION, _EXIF_IFD, _USER_COMMENT = 0x010E, 0x8769, 0x9286
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}


def texts_of(data: bytes) -> dict[str, str]:
    """Texts by keyword; A1111's is `parameters`, ours `atelier`. Empty for a file that has none or is damaged."""
    try:
        if data.startswith(_PNG):
            return dict(_png_texts(data))
        if data.startswith(b"\xff\xd8"):
            return _exif_texts(_jpeg_exif(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _exif_texts(_webp_exif(data))
    except (struct.error, zlib.error, ValueError, IndexError):
        pass  # a damaged file says nothing
    return {}


def picture_format(data: bytes) -> str | None:
    """`png`, `jpeg` or `webp` by the first bytes; None for anything else."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in {b"tEXt", b"zTXt", b"iTXt"}:
            body = data[at + 8 : at + 8 + min(length, MAX_TEXT_BYTES)]
            keyword, _, rest = body.partition(b"\0")
            text = _PNG_TEXT[kind](rest)
            if text is not None:
                yield keyword.decode("latin-1"), text
        if kind == b"IEND":
            return
        at += 12 + length


def _plain_text(rest: bytes) -> str:
    return rest.decode("latin-1")


def _packed_text(rest: bytes) -> str | None:
    return _unpack(rest[1:]).decode("latin-1") if rest[:1] == b"\0" else None


def _international_text(rest: bytes) -> str:
    packed = rest[0] == 1
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    return (_unpack(text) if packed else text).decode("utf-8", "replace")


_PNG_TEXT = {b"tEXt": _plain_text, b"zTXt": _packed_text, b"iTXt": _international_text}


def _unpack(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES)


def _jpeg_exif(data: bytes) -> bytes:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE1 and body.startswith(_EXIF):
            return body.removeprefix(_EXIF)
        at += 2 + length
    return b""


def _webp_exif(data: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return data[at + 8 : at + 8 + length].removeprefix(_EXIF)
        at += 8 + length + length % 2
    return b""


def _exif_texts(tiff: bytes) -> dict[str, str]:
    if tiff[:2] not in {b"II", b"MM"}:
        return {}
    order = "<" if tiff[:2] == b"II" else ">"
    first = _directory(tiff, order, struct.unpack_from(order + "I", tiff, 4)[0])
    texts = {}
    if description := first.get(_DESCRIPTION):
        texts["atelier"] = description.rstrip(b"\0").decode("utf-8", "replace")
    if pointer := first.get(_EXIF_IFD):
        inner = _directory(tiff, order, struct.unpack(order + "I", pointer)[0])
        if comment := _comment(inner.get(_USER_COMMENT, b"")):
            texts["parameters"] = comment
    return texts


def _directory(tiff: bytes, order: str, at: int) -> dict[int, bytes]:
    """The values of one EXIF directory, as they lie there."""
    (count,) = struct.unpack_from(order + "H", tiff, at)
    found = {}
    for index in range(min(count, 512)):
        place = at + 2 + 12 * index
        tag, kind, number = struct.unpack_from(order + "HHI", tiff, place)
        size = _SIZES.get(kind, 0) * number
        where = place + 8 if size <= 4 else struct.unpack_from(order + "I", tiff, place + 8)[0]
        found[tag] = tiff[where : where + min(size, MAX_TEXT_BYTES)]
    return found


def _comment(value: bytes) -> str:
    """An EXIF UserComment: eight bytes that name the encoding, then the text."""
    name, text = value[:8], value[8:]
    if name == b"UNICODE\0":
        # The standard leaves the order of the bytes open: the zeros of Latin text tell it.
        order = "utf-16-le" if text[1::2].count(0) > text[0::2].count(0) else "utf-16-be"
        return text.decode(order, "replace").rstrip("\0")
    return text.decode("utf-8", "replace").strip("\0 ")
