"""Writes one finished video: mp4 or animated WebP with its recipe inside, and its poster.

The recipe is our own JSON, an object with the one key `atelier`: in mp4 the metadata's `comment`, in WebP the EXIF
ImageDescription.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import av
import numpy as np
from PIL import Image

from engines.picture_files import thumbnail
from engines.protocol import File

VIDEO_FORMATS = ("mp4", "webp")

_EXIF_IMAGE_DESCRIPTION = 0x010E
# H.273: sRGB pixels, in the range and by the matrix that the conversion below uses.
_COLOURS = {"color_primaries": 1, "color_trc": 13, "colorspace": 6, "color_range": 1}


def write_video(frames: np.ndarray, directory: Path, index: int, format: str, fps: int, recipe: dict) -> File:
    """`frames`: uint8 [frames, height, width, 3], even sides. Writes `<index>.<format>` and `<index>.thumb.webp`, both
    on disk before this returns."""
    path, poster = directory / f"{index}.{format}", directory / f"{index}.thumb.webp"
    told = json.dumps({"atelier": recipe}, ensure_ascii=False, sort_keys=True)
    if format == "mp4":
        _mp4(frames, path, fps, told)
    else:
        _webp(frames, path, fps, told)
    poster.write_bytes(thumbnail(Image.fromarray(frames[0])))
    for written in (path, poster):
        with open(written, "rb") as file:
            os.fsync(file.fileno())
    data = path.read_bytes()
    return File(
        index=index,
        path=path.name,
        thumbnail=poster.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        width=frames.shape[2],
        height=frames.shape[1],
        seed=recipe["seed"],
        recipe=recipe,
        frames=len(frames),
        fps=float(fps),
    )


def _mp4(frames: np.ndarray, path: Path, fps: int, told: str) -> None:
    """H.264 that every browser plays, its index in front so that it starts before it is loaded."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["comment"] = told
        stream = container.add_stream("libx264", rate=fps, options={"crf": "16", "preset": "medium"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for name, value in _COLOURS.items():
            setattr(stream.codec_context, name, value)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def _webp(frames: np.ndarray, path: Path, fps: int, told: str) -> None:
    exif = Image.Exif()
    exif[_EXIF_IMAGE_DESCRIPTION] = told
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(
        path, "WEBP", save_all=True, append_images=others, duration=round(1000 / fps), loop=0, quality=90, method=2,
        exif=exif,
    )  # fmt: skip
