"""Pictures that are not what they say: small files that want much memory or time, and files of other kinds."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
import zlib
from functools import cache

from PIL import Image
from tests.hostile.pictures import chunk, png

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    return PNG_HEAD + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


@cache
def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, a thousandth as large."""
    packer, piece = zlib.compressobj(9), bytes(1024 * 1024)
    return b"".join(packer.compress(piece) for _ in range(megabytes)) + packer.flush()


def saved(form: str, size: tuple[int, int] = (64, 64), frames: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new("RGB", size, (at % 256, 0, 0)) for at in range(frames)]
    images[0].save(buffer, form, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}), **options)
    return buffer.getvalue()


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_canvas(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + struct.pack("<I", width - 1)[:3]
    body += struct.pack("<I", height - 1)[:3] + saved("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("picture.png", bytes(10_000_000))
    return buffer.getvalue()


def bombs() -> dict[str, bytes]:
    """Name -> content. None of them may become an input."""
    return {
        "900 megapixels of one bit": header(30_000, 30_000, 1) + chunk(b"IDAT", zeros(107)) + END,
        "a header of 2 gigapixels a side": header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", zeros(1)) + END,
        "one pixel more than 50 million": header(50_000_001, 1, 1) + chunk(b"IDAT", zeros(7)) + END,
        "a side of 32768": header(32_768, 2) + chunk(b"IDAT", zeros(1)) + END,
        "no pixels": header(0, 0) + END,
        "the header alone": header(64, 64),
        "a length that lies": PNG_HEAD + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(13),
        "a wrong sum": png(64, 64).replace(b"IDAT", b"IDAU"),
        "an animated PNG": saved("PNG", frames=50),
        "an animated WebP": saved("WEBP", frames=50),
        "a WebP canvas of 16384": webp_canvas(16_384, 16_384),
        "a JPEG that claims 65535": jpeg_that_claims(65_535, 65_535),
        "half a JPEG": saved("JPEG", (512, 512), quality=95)[:600],
        "a GIF of ten thousand frames": b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
        + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0" * 10_000 + b"\x3b",
        "a TIFF": saved("TIFF"), "a BMP": saved("BMP"), "an ICO": saved("ICO"), "a PPM": saved("PPM"),
        "a PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "FITS": b"SIMPLE  =                    T".ljust(2880) + bytes(2880),
        "BDF": b"STARTFONT 2.1\nCHARS 99999999\n",
        "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">II", 30_000, 30_000),
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>',
        "entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        "a zip": archive(), "gzip": gzip.compress(bytes(10_000_000)),
        "nothing": b"", "one byte": b"\x89", "noise": os.urandom(100_000), "text": b"hello" * 1000,
    }  # fmt: skip


def harmless() -> dict[str, bytes]:
    """What looks frightful and is a picture all the same: read, with whatever hangs on it left behind."""
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(64))
    plain = png(64, 64)
    return {
        "text of 64 megabytes": plain[:33] + text + plain[33:],
        "a thousand texts": plain[:33] + chunk(b"tEXt", b"a\0" + b"b" * 1000) * 1000 + plain[33:],
        "something behind the end": plain + archive(),
    }
