"""Pictures that were made to do damage, and files that only say that they are pictures. Every door that takes a picture
is tried with all of them: `BOMBS` by name, each made anew when asked for."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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


def animated(form: str, frames: int) -> bytes:
    pictures = [Image.new("RGB", (32, 32), (n * 40 % 256, 0, 0)) for n in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, form, save_all=True, append_images=pictures[1:])
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


def zip_of_zeros() -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(16 * MIB))
    return buffer.getvalue()


def fits() -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2",
             "NAXIS1  =               100000", "NAXIS2  =               100000", "END"]  # fmt: skip
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + bytes(2880)


SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&b;</text><script>1</script></svg>"""

BOMBS: dict[str, Callable[[], bytes]] = {
    "1-bit png of 30000 x 30000": lambda: grey_png(30_000, 30_000, 1),
    "png that says it is endless": lambda: header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", zeros(MIB)),
    "png of more than 50 megapixels": lambda: grey_png(7072, 7071),
    "long thin png": lambda: grey_png(40_000, 4),
    "png of no size": lambda: grey_png(0, 0),
    "png with 200 MiB of text": lambda: grey_png(64, 64, 8, *[chunk(b"zTXt", b"a\0\0" + zeros(50 * MIB))] * 4),
    "png with 100 MiB of colour profile": lambda: grey_png(64, 64, 8, chunk(b"iCCP", b"a\0\0" + zeros(100 * MIB)))[
        :-20
    ],
    "png cut off": lambda: saved("PNG", (600, 600))[:5000],
    "png with a wrong checksum": lambda: grey_png(64, 64).replace(b"IDAT", b"IDAU"),
    "png without an end or data": lambda: header(64, 64),
    "animated png": lambda: animated("PNG", 50),
    "gif of 100000 frames": gif_of_many_frames,
    "animated webp": lambda: animated("WEBP", 50),
    "webp of 16383 x 16383": lambda: webp_of_size(16_383, 16_383),
    "webp cut off": lambda: saved("WEBP", (600, 600))[:3000],
    "webp of nothing": lambda: webp_of_size(64, 64),
    "jpeg of 65500 x 65500": lambda: jpeg_of_size(65_500, 65_500),
    "jpeg of no size": lambda: jpeg_of_size(0, 64),
    "jpeg cut off": lambda: saved("JPEG", (600, 600))[:2000],
    "jpeg of thousands of scans": jpeg_of_many_scans,
    "only a jpeg's beginning": lambda: b"\xff\xd8\xff\xe0" + bytes(1000),
    "fits": fits,
    "tiff": lambda: saved("TIFF"),
    "bmp": lambda: saved("BMP"),
    "ico": lambda: saved("ICO"),
    "ppm that says it is endless": lambda: b"P6 100000 100000 255\n" + bytes(1000),
    "bdf font": lambda: b"STARTFONT 2.1\nFONT x\nSIZE 99999 75 75\nFONTBOUNDINGBOX 99999 99999 0 0\nCHARS 1\n",
    "psd": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 4, 30_000, 30_000, 8, 3),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "svg with entities": lambda: SVG,
    "pdf": lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
    "gzip of zeros": lambda: gzip.compress(bytes(16 * MIB)),
    "zip of zeros": zip_of_zeros,
    "html": lambda: b"<html><script>alert(1)</script>",
    "nothing": lambda: b"",
    "one zero": lambda: b"\0",
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
