"""Writes one finished picture: the file with its recipe inside, and its thumbnail. Runs on encoder threads.

The recipe travels with the picture twice. As A1111's infotext, which every tool of this world reads: PNG text
`parameters`, in JPEG and WebP the EXIF UserComment (`UNICODE\\0` and UTF-16, big endian). And as our own JSON: PNG
text `atelier`, in JPEG and WebP the EXIF ImageDescription, an object with the one key `atelier`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engines.protocol import File
from engines.sampler_names import SETTING_WORDS, UPSCALER_NAMES

FORMATS = ("png", "jpeg", "webp")
QUALITY = 95
"""Of WebP and JPEG, unless somebody asks for another."""
THUMBNAIL_SIDE = 384
PNG_LEVEL = 1
"""zlib's fastest: half the time of Pillow's default for files a tenth larger."""

_EXIF_IMAGE_DESCRIPTION = 0x010E
_EXIF_IFD = 0x8769
_EXIF_USER_COMMENT = 0x9286


def write_picture(
    image: Image.Image, directory: Path, index: int, format: str, recipe: dict, quality: int = QUALITY
) -> File:
    """Write `<index>.<format>` and `<index>.thumb.webp`, both on disk before this returns."""
    data = encode(image, format, recipe, quality)
    _write(directory / f"{index}.{format}", data)
    _write(directory / f"{index}.thumb.webp", thumbnail(image))
    return File(
        index=index,
        path=f"{index}.{format}",
        thumbnail=f"{index}.thumb.webp",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        width=image.width,
        height=image.height,
        seed=recipe["seed"],
        recipe=recipe,
    )


def encode(image: Image.Image, format: str, recipe: dict, quality: int = QUALITY) -> bytes:
    """The picture as PNG (lossless), WebP or JPEG (`quality` 1 to 100), with its recipe. Same input, same bytes."""
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG", pnginfo=texts_of(recipe), compress_level=PNG_LEVEL)
    elif format == "webp":
        image.save(buffer, "WEBP", quality=quality, method=2, exif=_exif(recipe))
    else:
        image.save(buffer, "JPEG", quality=quality, subsampling=0, exif=_exif(recipe))
    return buffer.getvalue()


def texts_of(recipe: dict) -> PngInfo:
    """A PNG's chunks of text: A1111's, and ours."""
    texts = PngInfo()
    texts.add_text("parameters", infotext(recipe))
    texts.add_text("atelier", json.dumps(recipe, ensure_ascii=False, sort_keys=True))
    return texts


def thumbnail(image: Image.Image) -> bytes:
    """WebP, no side above `THUMBNAIL_SIDE` pixels; never enlarged."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82, method=2)
    return buffer.getvalue()


def infotext(recipe: dict) -> str:
    """A1111's text: prompt, negative prompt, one line of `Name: value`, quoted where needed."""
    pairs = {
        "Steps": recipe["steps"],
        "Sampler": recipe.get("sampler", ""),
        "Schedule type": recipe.get("schedule_type", ""),
        "CFG scale": f"{recipe['guidance_scale']:g}",
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model hash": (recipe.get("model_hash") or "")[:10],
        "Model": recipe["model"],
        **_how(recipe),
        **_additions(recipe),
        "RNG": "CPU",
        **_second_pass(recipe),
        "Version": "Atelier",
    }
    tags = "".join(f"<lora:{lora['name']}:{_weights(lora)}>" for lora in recipe.get("loras", []))
    lines = [f"{recipe['prompt']} {tags}" if tags else recipe["prompt"]]
    if recipe["negative_prompt"]:
        lines.append(f"Negative prompt: {recipe['negative_prompt']}")
    lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in pairs.items() if value != ""))
    return "\n".join(lines)


def _how(recipe: dict) -> dict[str, object]:
    """A1111's words for variations and for what a picture was made from. Its clip skip counts the layer that is read:
    1 is the last."""
    start, inpaint, hires = (recipe.get(part) for part in ("start", "inpaint", "hires"))
    told: dict[str, object] = {}
    if "subseed" in recipe:
        told |= {"Variation seed": recipe["subseed"], "Variation seed strength": f"{recipe['subseed_strength']:g}"}
    if strength := start or hires:
        told["Denoising strength"] = f"{strength['strength']:g}"
    if inpaint:
        told["Mask blur"] = inpaint["blur"]
        if inpaint["only_masked"]:
            told |= {"Inpaint area": "Only masked", "Masked area padding": inpaint["padding"]}
    if clip_skip := recipe.get("clip_skip"):
        told["Clip skip"] = clip_skip + 1
    settings = recipe.get("sampler_settings", {})
    return told | {word: f"{settings[name]:g}" for name, word in SETTING_WORDS.items() if name in settings}


def _weights(lora: dict) -> str:
    weights = [lora["weight"], *([] if lora["text_weight"] is None else [lora["text_weight"]])]
    return ":".join(f"{weight:g}" for weight in weights)


def _additions(recipe: dict) -> dict[str, object]:
    """A1111's words for LoRAs and embeddings: their hashes, short as it shows a model's."""
    told: dict[str, object] = {}
    for name, listed, called in (("Lora hashes", "loras", "name"), ("TI hashes", "embeddings", "token")):
        if found := recipe.get(listed):
            told[name] = ", ".join(f"{one[called]}: {one['sha256'][:10]}" for one in found)
    return told


def _second_pass(recipe: dict) -> dict[str, object]:
    if not (hires := recipe.get("hires")):
        return {}
    scale = hires["width"] / recipe["width"]
    return {
        "Hires sampler": hires.get("sampler", ""),
        "Hires schedule type": hires.get("schedule_type", ""),
        "Hires upscale": f"{scale:.4g}",
        "Hires steps": hires["steps"],
        "Hires upscaler": UPSCALER_NAMES.get(hires["upscaler"], hires["upscaler"]),
    }


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(character in value for character in ",:\n") else value


def _exif(recipe: dict) -> Image.Exif:
    exif = Image.Exif()
    exif[_EXIF_IMAGE_DESCRIPTION] = json.dumps({"atelier": recipe}, sort_keys=True)
    exif.get_ifd(_EXIF_IFD)[_EXIF_USER_COMMENT] = b"UNICODE\0" + infotext(recipe).encode("utf-16-be")
    return exif


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
