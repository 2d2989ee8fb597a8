"""The upscalers that there are, in A1111's words, and which of ours a name means."""

from __future__ import annotations

from typing import Literal

UPSCALERS = ("None", "Lanczos", "Nearest")
LATENT_MODES = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)


def second_pass(name: str | None) -> tuple[Literal["latent", "lanczos", "nearest"], bool]:
    """What enlarges before a second pass, and whether it is what was asked for."""
    plain = (name or "Latent").casefold()
    if plain.startswith("latent"):
        return "latent", plain == "latent"
    if plain in {"lanczos", "nearest"}:
        return plain, True  # type: ignore[return-value]
    return "lanczos", plain in {"none", ""}
