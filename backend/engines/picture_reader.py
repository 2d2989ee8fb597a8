"""Reads pictures that strangers sent: decodes, turns upright, writes anew without metadata. Pillow; no model.

    python -m engines.host picture_reader --model-path . --socket /tmp/w.sock

The server never decodes a picture itself. Each task is done by a child of its own (`limited_child`), forked from a
process that has Pillow imported already, with limits on memory, CPU and time. What a file is, its content says, never
its name; PNG, JPEG and WebP are read and nothing else. Sizes are known from the header before anything is decoded.
Animated files are refused: which of their pictures is meant, nobody said. No load options.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageFile
from PIL import MpoImagePlugin as _mpo  # noqa: F401 - imported before the fork, not in every child
from PIL import WebPImagePlugin as _webp  # noqa: F401

from engines import picture_sheet
from engines.engine import Options, Run, RunFailed
from engines.limited_child import Limits, answer_of
from engines.picture_files import texts_of
from engines.protocol import ComparePictures, Done, DrawSheet, ExtendCanvas, PictureTask, ReadMetadata, ReadPicture

TASKS = (ReadPicture, ReadMetadata, ComparePictures, ExtendCanvas, DrawSheet)

READ = ("PNG", "JPEG", "WEBP")
MAX_SIDE = 32_767
MAX_SCANS = 100
STRIP = 256
"""Rows."""
PNG_LEVEL = 1
THUMBNAIL_SIDE = 384
TEXTS, TEXT_CHARACTERS = 32, 200_000

_ORIENTATION, _DESCRIPTION, _EXIF, _USER_COMMENT = 0x0112, 0x010E, 0x8769, 0x9286
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preload() -> None:
    """Everything is imported above."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # `_checked` is stricter, and says how large it is
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def load(_model_path: Path, _options: Options) -> PictureReader:
    preload()
    return PictureReader(Limits())


class PictureReader:
    device = "cpu"
    weights_bytes = 0

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def run(self, task: PictureTask, run: Run) -> Done:
        written = [
            Path(name) for name in (getattr(task, field, "") for field in ("target", "mask", "thumbnail")) if name
        ]
        try:
            return Done(answer=answer_of(lambda: WORK[type(task)](task), self._limits, lambda: run.cancelled))
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise


# ── in the child ──────────────────────────────────────────────────────────────


def read(task: ReadPicture) -> dict[str, Any]:
    """See `protocol.ReadPicture`."""
    with opened(task.source, task.max_pixels) as source:
        form, orientation = source.format, _orientation(source)
        image = _in_mode(source, task.mode)
    del source  # it may hold another copy
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if task.invert:
        image = ImageChops.invert(image)
    if task.width and task.height and (task.width, task.height) != image.size:
        _room(task.width, task.height, task.max_pixels)
        how = Image.Resampling.NEAREST if task.resample == "nearest" else Image.Resampling.LANCZOS
        image = image.resize((task.width, task.height), how, box=_middle(image, task) if task.crop else None)
    low, high = image.getextrema() if image.mode == "L" else (0, 255)
    answer = {"width": image.width, "height": image.height, "format": _FORMS[form], "low": low, "high": high}
    return answer | (_written(image, task.target, task.format) if task.target else {})


def _middle(image: Image.Image, task: ReadPicture) -> tuple[float, float, float, float]:
    """The largest part of the picture that has the shape of the result."""
    scale = min(image.width / task.width, image.height / task.height)
    left, top = (image.width - task.width * scale) / 2, (image.height - task.height * scale) / 2
    return left, top, image.width - left, image.height - top


def read_metadata(task: ReadMetadata) -> dict[str, Any]:
    """See `protocol.ReadMetadata`."""
    with opened(task.source, task.max_pixels) as image:
        # Text may stand behind a PNG's data.
        if image.format == "PNG":
            with contextlib.suppress(Exception):
                image.load()
        texts = _png_texts(image) if image.format == "PNG" else {}
        texts = _exif_texts(image) | texts
        return {"width": image.width, "height": image.height, "format": _FORMS[image.format], "texts": texts}


def compare(task: ComparePictures) -> dict[str, Any]:
    """See `protocol.ComparePictures`."""
    with opened(task.source, task.max_pixels) as source, opened(task.other, task.max_pixels) as other:
        if source.size != other.size:
            return {"same_size": False, "most": 255, "share": 1.0}
        difference = ImageChops.difference(_in_mode(source, "RGB"), _in_mode(other, "RGB"))
    bands = difference.split()
    most = max(band.getextrema()[1] for band in bands)
    anywhere = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    same = anywhere.histogram()[0]
    return {"same_size": True, "most": most, "share": 1 - same / (difference.width * difference.height)}


def extend(task: ExtendCanvas) -> dict[str, Any]:
    """See `protocol.ExtendCanvas`."""
    with opened(task.source, task.max_pixels) as source:
        image = _in_mode(source, "RGB")
    width, height = image.width + task.left + task.right, image.height + task.top + task.bottom
    _room(width, height, task.max_pixels)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(image, (task.left, task.top))
    _draw_out(canvas, task, image.size)
    _written(canvas, task.target, "png")
    _written(outside(task, image.size), task.mask, "png")
    return {"width": width, "height": height}


def draw_sheet(task: DrawSheet) -> dict[str, Any]:
    """See `protocol.DrawSheet`. One picture after the other is decoded and made small: never all of them at once."""
    sizes = []
    for source in task.sources:
        with opened(source, task.max_pixels) as image:
            sizes.append(image.size)
    largest = max(width for width, _ in sizes), max(height for _, height in sizes)
    cell = picture_sheet.cell_size(largest, task.columns, -(-len(sizes) // task.columns))
    small = []
    for source in task.sources:
        with opened(source, task.max_pixels) as image:
            small.append(_in_mode(image, "RGB"))
            small[-1].thumbnail(cell, Image.Resampling.LANCZOS)
    sheet = picture_sheet.draw(small, task.columns, task.x, task.y, cell)
    answer = {"width": sheet.width, "height": sheet.height, **_written(sheet, task.target, "png", task.recipe)}
    sheet.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    _written(sheet, task.thumbnail, "webp")
    return answer


def _draw_out(canvas: Image.Image, task: ExtendCanvas, size: tuple[int, int]) -> None:
    """Fill the new sides with the picture mirrored at its edges as far as it reaches: a start that has its colours and
    its grain, where stretched rows of pixels would be painted on as stripes."""
    right, bottom = task.left + size[0], task.top + size[1]
    for side in ("left", "right"):
        if getattr(task, side):
            _mirror(canvas, (task.left, task.top, right, bottom), side)
    for side in ("top", "bottom"):
        if getattr(task, side):
            _mirror(canvas, (0, task.top, canvas.width, bottom), side)


def _mirror(canvas: Image.Image, box: tuple[int, int, int, int], side: str) -> None:
    """Fill what lies on one side of `box` with what is in it, mirrored as often as it takes."""
    left, top, right, bottom = box
    flat = side in ("left", "right")
    flip = Image.Transpose.FLIP_LEFT_RIGHT if flat else Image.Transpose.FLIP_TOP_BOTTOM
    piece = canvas.crop(box)
    step = piece.width if flat else piece.height
    at = {"left": left - step, "right": right, "top": top - step, "bottom": bottom}[side]
    end = canvas.width if flat else canvas.height
    while -step < at < end:
        piece = piece.transpose(flip)
        canvas.paste(piece, (at, top) if flat else (left, at))
        at += step if side in ("right", "bottom") else -step


def outside(task: ExtendCanvas, size: tuple[int, int]) -> Image.Image:
    """The mask of a canvas: black over the old picture, white around it, a slope of `feather` pixels between."""
    width, height = size[0] + task.left + task.right, size[1] + task.top + task.bottom
    mask = Image.new("L", (width, height), 255)
    right, bottom = task.left + size[0], task.top + size[1]
    for step in range(task.feather + 1):
        box = (
            task.left + step * bool(task.left),
            task.top + step * bool(task.top),
            right - step * bool(task.right),
            bottom - step * bool(task.bottom),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            break
        mask.paste(255 - 255 * (step + 1) // (task.feather + 1), box)
    return mask


# ── files ─────────────────────────────────────────────────────────────────────

_FORMS = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp"}


def opened(path: str, max_pixels: int) -> Image.Image:
    """The picture, its header read and checked, its pixels not yet. Raises RunFailed."""
    with open(path, "rb") as file:
        head = file.read(64)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        _check_webp(head, max_pixels)  # Pillow makes room for the whole picture when it opens one
    elif head[:2] == b"\xff\xd8":
        _check_scans(path)
    try:
        image = Image.open(path, formats=READ)
    except MemoryError:
        raise
    except Exception as error:
        if _is_known(head):
            raise _unreadable() from error
        raise RunFailed(
            "picture_format",
            "This is no PNG, JPEG or WebP picture.",
            "Save it as one of these; what a file is, its content says, not its name.",
        ) from error
    return _checked(image, max_pixels)


def _is_known(head: bytes) -> bool:
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _unreadable() -> RunFailed:
    return RunFailed(
        "picture_unreadable",
        "The picture cannot be read: it is damaged, or made to do damage.",
        "Open it in a picture editor, save it anew and try again.",
    )


def _check_webp(head: bytes, max_pixels: int) -> None:
    """Size and kind from a WebP's first chunk (RFC 9649, section 2.7)."""
    kind = head[12:16]
    if kind == b"VP8X":
        if head[20] & 0x02:
            raise _animated()
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", head.ljust(64, b"\0"), 26))
    else:
        raise _unreadable()
    _room(width, height, max_pixels)


def _check_scans(path: str) -> None:
    """A JPEG may go over the whole picture as often as it likes; honest ones do so ten times."""
    with open(path, "rb") as file:
        if file.read().count(b"\xff\xda") > MAX_SCANS:
            raise _unreadable()


def _checked(image: Image.Image, max_pixels: int) -> Image.Image:
    _room(image.width, image.height, max_pixels)
    # A JPEG of a phone may carry a second one, for depth or for a larger screen: the first is the picture.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise _animated()
    return image


def _room(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels or max(width, height) > MAX_SIDE or not width or not height:
        raise RunFailed(
            "picture_too_large",
            f"The picture has {width} × {height} pixels; {max_pixels // 10**6} million are read at most.",
            "Make it smaller and try again.",
            width=width,
            height=height,
            most=max_pixels // 10**6,
        )


def _animated() -> RunFailed:
    return RunFailed(
        "picture_animated",
        "This is an animation, and one picture is needed.",
        "Save the frame that you mean as a PNG or JPEG.",
    )


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Decoded, as RGB on white, as L on black, or as its transparency (white where it is transparent)."""
    try:
        image.load()
        clear = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
        if mode == "A":
            if not clear:
                return Image.new("L", image.size, 0)
            return ImageChops.invert(image.convert("RGBA").getchannel("A"))
        if image.mode.startswith("I"):  # 16 bits of grey
            image = image.point(lambda value: value / 256).convert("L")
        if not clear:
            return image.convert(mode) if image.mode != mode else image
        return _on_ground(image, mode)
    except (MemoryError, RunFailed):
        raise
    except Exception as error:
        raise _unreadable() from error


def _on_ground(image: Image.Image, mode: str) -> Image.Image:
    """A picture that is transparent in parts, on white (masks: black). In strips: whole copies of 50 megapixels would
    not fit."""
    colour = "white" if mode == "RGB" else "black"
    ground = Image.new(mode, image.size, colour)
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height))).convert("RGBA")
        ground.paste(strip.convert(mode), (0, top), strip.getchannel("A"))
    return ground


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it has none, or one that cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # a picture with broken EXIF is still a picture
        return 1


def _png_texts(image: Image.Image) -> dict[str, str]:
    texts = getattr(image, "text", {})
    return {str(name)[:80]: str(text)[:TEXT_CHARACTERS] for name, text in list(texts.items())[:TEXTS]}


def _exif_texts(image: Image.Image) -> dict[str, str]:
    """A1111's infotext and our JSON, as `picture_files` puts them into JPEG and WebP."""
    try:
        exif = image.getexif()
        comment = exif.get_ifd(_EXIF).get(_USER_COMMENT, b"")
        description = exif.get(_DESCRIPTION, "")
    except MemoryError:
        raise
    except Exception:
        return {}
    found = {}
    if isinstance(comment, bytes) and len(comment) > 8:
        kind, data = comment[:8], comment[8:]
        text = data.decode("utf-16-be" if kind.startswith(b"UNICODE") else "utf-8", "replace").strip("\0")
        found["parameters"] = text[:TEXT_CHARACTERS]
    if isinstance(description, str) and description.startswith('{"atelier"'):
        found["atelier"] = description[:TEXT_CHARACTERS]
    return found


def _written(image: Image.Image, target: str, form: str, recipe: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write it, on disk before this returns. `recipe`: what made it, for a PNG."""
    how: dict[str, Any] = {"png": {"compress_level": PNG_LEVEL}, "jpeg": {"quality": 95, "subsampling": 0}}.get(
        form, {"quality": 95, "method": 2}
    )
    image.info = {}
    if recipe:
        how["pnginfo"] = texts_of(recipe)
    with open(target, "xb") as file:
        image.save(file, form.upper(), **how)
        file.flush()
        os.fsync(file.fileno())
    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": os.path.getsize(target), "sha256": digest}


WORK: dict[type, Callable[[Any], dict[str, Any]]] = {
    ReadPicture: read,
    ReadMetadata: read_metadata,
    ComparePictures: compare,
    ExtendCanvas: extend,
    DrawSheet: draw_sheet,
}
