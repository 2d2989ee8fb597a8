"""Pictures on their way to a chat engine: told by their first bytes, refused where they are none or too large."""

from __future__ import annotations

import base64

import pytest
from atelier.chat import pictures
from atelier.chat.pictures import look_at
from atelier.errors import BadRequest
from tests.hostile.bombs import bombs, harmless, saved

LOOKED_AT = {
    "a side of 32768", "the header alone", "an animated PNG", "an animated WebP", "half a JPEG", "a wrong sum",
    "a GIF of ten thousand frames",
}  # fmt: skip
"""Of these an engine reads one small picture, or finds that there is none."""


def refused(content: bytes) -> str | None:
    """The sentence that it is refused with."""
    try:
        look_at("image_url", base64.b64encode(content).decode())
    except BadRequest as error:
        return str(getattr(error.message, "code", ""))
    return None


@pytest.mark.parametrize(("name", "content"), bombs().items())
def test_bombs(name: str, content: bytes) -> None:
    assert (refused(content) is None) is (name in LOOKED_AT)


@pytest.mark.parametrize("content", harmless().values(), ids=harmless())
def test_what_hangs_on_a_picture_is_not_read(content: bytes) -> None:
    assert refused(content) is None


KINDS: dict[str, dict[str, object]] = {
    "PNG": {},
    "GIF": {},
    "JPEG": {},
    "JPEG progressive": {"progressive": True},
    "JPEG with Exif": {"exif": b"Exif" * 9000},
    "WEBP": {},
    "WEBP lossless": {"lossless": True},
    "WEBP with a profile": {"icc_profile": b"x" * 900},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_the_picture_s(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(kind.partition(" ")[0], (300, 200), **KINDS[kind])
    monkeypatch.setattr(pictures, "MOST_PIXELS", 60_000)
    assert refused(content) is None
    monkeypatch.setattr(pictures, "MOST_PIXELS", 59_999)
    assert refused(content) == "chat.picture_pixels"


def test_a_jpeg_that_goes_over_itself_for_ever() -> None:
    assert refused(saved("JPEG") + b"\xff\xda" * 1000) == "chat.picture_kind"


def test_bytes_and_what_is_no_base64() -> None:
    assert refused(bytes(pictures.MOST_BYTES + 3)) == "chat.picture_bytes"
    with pytest.raises(BadRequest) as error:
        look_at("image_url", "not base64 at all!")
    assert error.value.message.code == "chat.picture_base64"  # type: ignore[attr-defined]
