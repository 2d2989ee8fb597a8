"""What a picture looks like while it is made: small JPEGs from latents, without the decoder."""

from __future__ import annotations

import base64
import inspect
import io
from typing import Any

import torch
from PIL import Image

from engines.image_families import Family
from engines.image_latents import unpack

PREVIEW_SIDE = 128


def small_jpeg(image: Image.Image, side: int, shape: tuple[int, int] | None = None) -> str:
    """A base64 JPEG of `shape` (the image's own size by default), scaled down so that no side is above `side`."""
    width, height = shape or image.size
    scale = min(1.0, side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=75)
    return base64.b64encode(buffer.getvalue()).decode()


class Previews:
    """Small JPEGs from latents by a linear map to RGB, fitted once to this model's own decoder."""

    def __init__(self, pipe: Any, family: Family) -> None:
        self._family = family
        self.watch(pipe)
        self._fit: torch.Tensor | None = None

    def watch(self, pipe: Any) -> None:
        """Another pipeline with the same weights; None while there is none."""
        self._vae = getattr(pipe, "vae", None)
        self._factor = int(getattr(pipe, "vae_scale_factor", 8))

    def jpegs(self, latents: torch.Tensor | None, shape: tuple[int, int]) -> list[str]:
        """One base64 JPEG per picture, no side above `PREVIEW_SIDE`; none for latents that are no picture of `shape`
        (width, height) in pixels."""
        channels = getattr(getattr(self._vae, "config", None), "latent_channels", None)
        if latents is not None and latents.ndim == 5:
            latents = latents[:, 0]  # a video's first frame
        elif latents is not None:
            latents = unpack(latents, self._family, shape[1] // self._factor, shape[0] // self._factor)
        if latents is None or latents.ndim != 4 or latents.shape[1] != channels:
            return []
        if self._fit is None:
            self._fit = self._fitted(channels, latents.device)
        features = torch.cat([latents.float(), torch.ones_like(latents[:, :1], dtype=torch.float32)], dim=1)
        rgb = torch.einsum("bchw,cr->bhwr", features, self._fit)
        pixels = ((rgb / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return [small_jpeg(Image.fromarray(picture), PREVIEW_SIDE, shape) for picture in pixels]

    @torch.no_grad()
    def _fitted(self, channels: int, device: torch.device) -> torch.Tensor:
        """Least squares from latents to the mean colour of the patch that each becomes: [channels + 1, 3].

        `device`: where the decoder works, also when it waits elsewhere (offloading). Fitted on a handful of smooth
        random latents, since a decoder answers to smooth ones as it does to pictures.
        """
        vae, generator = self._vae, torch.Generator("cpu").manual_seed(0)
        coarse = torch.randn(8, channels, 3, 3, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=(12, 12), mode="bicubic")
        latents = (smooth + 0.3 * torch.randn(smooth.shape, generator=generator)).to(device)
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        one = {"num_frames": 1} if "num_frames" in inspect.signature(type(vae).decode).parameters else {}
        decoded = vae.decode((latents / vae.config.scaling_factor + shift).to(vae.dtype), **one).sample.float()
        colours = torch.nn.functional.adaptive_avg_pool2d(decoded, (12, 12)).clamp(-1, 1)
        inputs = torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1).movedim(1, -1).reshape(-1, channels + 1)
        targets = colours.movedim(1, -1).reshape(-1, 3)
        return torch.linalg.lstsq(inputs.cpu(), targets.cpu()).solution.to(device)
