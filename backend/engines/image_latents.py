"""From pixels to latents and between their shapes: encode a start picture, enlarge, pack and unpack FLUX's rows, and
keep what lies outside a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from engines.image_families import Family
from engines.image_noise import Noise


@torch.no_grad()
def encode(pipe: Any, image: Image.Image) -> torch.Tensor:
    """The picture as the denoiser knows it: [1, channels, height / factor, width / factor]. The middle of the
    encoder's distribution: it costs no random number, so that a picture's noise is its seed's alone."""
    vae = pipe.vae
    own = vae.dtype
    overflows = own == torch.float16 and getattr(vae.config, "force_upcast", False)
    if overflows:
        vae.to(torch.float32)
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)[None]
    pixels = (pixels.to(torch.float32) / 127.5 - 1).to(pipe._execution_device, vae.dtype)
    latents = vae.encode(pixels).latent_dist.mode()
    if overflows:
        vae.to(own)
    return _scaled(vae.config, latents).to(pipe.dtype)


def _scaled(config: Any, latents: torch.Tensor) -> torch.Tensor:
    """The autoencoder's own units to the denoiser's."""
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and std is not None:
        shape = (1, -1, 1, 1)
        mean, std = (torch.tensor(values).view(shape).to(latents) for values in (mean, std))
        return (latents - mean) * config.scaling_factor / std
    return (latents - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor


def enlarge(latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """To another size in latents: between four neighbours, which blurs and does not invent."""
    return torch.nn.functional.interpolate(latents.float(), size=(height, width), mode="bilinear").to(latents.dtype)


def unpack(latents: torch.Tensor, family: Family, height: int, width: int) -> torch.Tensor:
    """[pictures, channels, height, width] in latents, of whatever the family's denoiser works on."""
    if not family.packed:
        return latents
    pictures, _, channels = latents.shape
    rows = latents.view(pictures, height // 2, width // 2, channels // 4, 2, 2)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(pictures, channels // 4, height, width)


def pack(latents: torch.Tensor, family: Family) -> torch.Tensor:
    """The reverse of `unpack`."""
    if not family.packed:
        return latents
    pictures, channels, height, width = latents.shape
    squares = latents.view(pictures, channels, height // 2, 2, width // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(pictures, height // 2 * (width // 2), channels * 4)


class Outside:
    """Keeps what the mask does not cover: after each step the start picture stands there again, as noisy as the step
    leaves the rest (Lugmayr et al. 2022, "RePaint", equation 8)."""

    def __init__(self, clean: torch.Tensor, mask: Image.Image, noise: Noise, family: Family) -> None:
        self._clean, self._noise, self._family = clean, noise, family
        factor = mask.height // clean.shape[-2]
        white = torch.from_numpy(np.asarray(mask).copy())[None, None].float() / 255
        covered = torch.nn.functional.max_pool2d(white, factor)  # a cell is new if any of its pixels is
        self._inside = (covered > 0.5).to(clean.device, clean.dtype)

    def __call__(self, pipe: Any, index: int, latents: torch.Tensor) -> torch.Tensor:
        left = pipe.num_timesteps - index - 1
        here = unpack(latents, self._family, *self._clean.shape[-2:])
        known = self._clean
        if left:
            known = self._noise.on(self._clean, pipe.scheduler.timesteps[-left].reshape(1))
        mixed = self._inside * here + (1 - self._inside) * known.to(here.dtype)
        return pack(mixed.to(latents.dtype), self._family)
