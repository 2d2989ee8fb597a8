"""Pictures that a decoder begins to read before it finds out what they are: `BOMBS` by name, each made when asked for.
`bombs` has those that every door is tried with."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

from PIL import Image
from tests.hostile.pictures import chunk

PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    return PNG_BEGINS + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


@lru_cache
def zeros(size: int) -> bytes:
    """So many zeros, deflated."""
    squeeze = zlib.compressobj(9)
    piece = bytes(MIB)
    return b"".join([*(squeeze.compress(piece) for _ in range(size // MIB)), squeeze.compress(bytes(size % MIB)),
                     squeeze.flush()])  # fmt: skip


def grey_png(width: int, height: int, depth: int = 8, *between: bytes) -> bytes:
    """A black PNG, with other chunks before its data."""
    data = zeros(height * (1 + -(-width * depth // 8)))
    return header(width, height, depth) + b"".join(between) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def padded_png(size: int) -> bytes:
    """A sound PNG of exactly so many bytes."""
    plain = grey_png(64, 64)
    filling = bytes(size - len(plain) - 12)
    return grey_png(64, 64, 8, chunk(b"prVt", filling))


def saved(form: str, size: tuple[int, int] = (64, 64), mode: str = "RGB", **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(buffer, form, **how)
    return buffer.getvalue()


def gif_of_many_frames() -> bytes:
    plain = saved("GIF", (8, 8), "P")
    start = plain.index(b",")
    return plain[:start] + plain[start:-1] * 100_000 + b";"


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG that says it is as large as that."""
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_many_scans() -> bytes:
    """Each scan goes over the whole picture once more (CVE-2017-9614's kind)."""
    buffer = io.BytesIO()
    Image.new("L", (6000, 6000), 90).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * min(3000, 20 * MIB // (len(data) - at)) + data[-2:]


def jpeg_with_exif(exif: bytes) -> bytes:
    data = saved("JPEG")
    body = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def webp_of_size(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + b"VP8 " + struct.pack("<I", 32) + bytes(32)
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of more than 50 megapixels": lambda: grey_png(7072, 7071),
    "png with 200 MiB of text": lambda: grey_png(64, 64, 8, *[chunk(b"zTXt", b"a\0\0" + zeros(50 * MIB))] * 4),
    "png with 100 MiB of colour profile": lambda: grey_png(64, 64, 8, chunk(b"iCCP", b"a\0\0" + zeros(100 * MIB)))[
        :-20
    ],
    "png cut off": lambda: saved("PNG", (600, 600))[:5000],
    "gif of 100000 frames": gif_of_many_frames,
    "webp cut off": lambda: saved("WEBP", (600, 600))[:3000],
    "webp of nothing": lambda: webp_of_size(64, 64),
    "jpeg of no size": lambda: jpeg_of_size(0, 64),
    "jpeg of thousands of scans": jpeg_of_many_scans,
    "only a jpeg's beginning": lambda: b"\xff\xd8\xff\xe0" + bytes(1000),
    "html": lambda: b"<html><script>alert(1)</script>",
}

# Pictures whose notes about themselves are hostile, and which are pictures all the same.
ODD_BUT_SOUND: dict[str, Callable[[], bytes]] = {
    "exif with two thousand million entries": lambda: jpeg_with_exif(
        b"MM\0*\0\0\0\x08\xff\xff" + struct.pack(">HHII", 0x0112, 3, 2**31 - 1, 8) * 20
    ),
    "exif that points to itself": lambda: jpeg_with_exif(
        b"MM\0*\0\0\0\x08\0\x02"
        + struct.pack(">HHII", 0x8769, 4, 1, 8)
        + struct.pack(">HHII", 0x0112, 3, 1, 0xFFFF0000)
    ),
    "exif of noise": lambda: jpeg_with_exif(bytes(range(256)) * 200),
    "png with 20000 texts": lambda: grey_png(64, 64, 8, *[chunk(b"tEXt", b"name\0text")] * 20_000),
}
