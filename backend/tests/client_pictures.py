"""Small pictures to send, and what the database says of what became of them."""

from __future__ import annotations

import io
import time
from typing import Any

from PIL import Image
from serving import Server


def drawing(size: tuple[int, int] = (256, 256), colour: str = "blue") -> Image.Image:
    """A picture with a red left half."""
    image = Image.new("RGB", size, colour)
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    return image


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def hole(size: tuple[int, int] = (256, 256)) -> Image.Image:
    """A mask as OpenAI wants it: transparent in the middle."""
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    box = (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4)
    image.paste((0, 0, 0, 0), box)
    return image


def jobs(server: Server, **params: Any) -> list[dict[str, Any]]:
    return server.client.get("/api/jobs", params=params).json()["items"]


def wait_until(true: Any, what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
