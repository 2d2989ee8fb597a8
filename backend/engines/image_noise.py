"""The noise of one pass: drawn by each picture's own generator on the CPU, and moved towards its variation."""

from __future__ import annotations

import functools
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor


class Noise:
    """A generator for each picture of a batch. With `subseeds` the noise of a picture is moved by `strength` (0 to 1)
    along the sphere towards the noise of its subseed.

    Image-to-image draws its noise inside the pipeline and hands it to the scheduler: `follow` stands between the two,
    moves it, and remembers it for those who put noise on the same picture again (`on`).
    """

    def __init__(self, seeds: list[int], subseeds: list[int], strength: float) -> None:
        self.generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        self._subseeds = subseeds if strength > 0 else []
        self._strength = strength
        self._used: torch.Tensor | None = None

    @property
    def moves(self) -> bool:
        return bool(self._subseeds)

    def drawn(self, shape: tuple[int, ...], device: Any, dtype: torch.dtype) -> torch.Tensor:
        """What a pipeline would draw itself, moved."""
        plain = randn_tensor(shape, generator=self.generators, device=torch.device(device), dtype=dtype)
        self._used = self._moved(plain)
        return self._used

    def follow(self, scheduler: Any) -> None:
        """Move the noise that this scheduler is given for a start picture. Flow-matching schedulers call it scaling and
        want the noise last."""
        name = "scale_noise" if hasattr(scheduler, "scale_noise") else "add_noise"
        self._plain = put = getattr(scheduler, name)
        self._noise_last = name == "scale_noise"

        @functools.wraps(put)
        def moved(sample: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            noise, timestep = reversed(rest) if self._noise_last else rest
            self._used = self._moved(noise)
            return self.on(sample, timestep)

        setattr(scheduler, name, moved)

    def on(self, clean: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """`clean` under this pass's noise, as much of it as there is at `timestep`: shape [pictures or 1]."""
        assert self._used is not None, "no noise was drawn yet"
        rest = (timestep, self._used) if self._noise_last else (self._used, timestep)
        return self._plain(clean.expand_as(self._used), *rest)

    def _moved(self, noise: torch.Tensor) -> torch.Tensor:
        if not self._subseeds:
            return noise
        others = [torch.Generator("cpu").manual_seed(subseed) for subseed in self._subseeds]
        towards = randn_tensor(noise.shape, generator=others, device=noise.device, dtype=noise.dtype)
        return slerp(self._strength, noise.float(), towards.float()).to(noise.dtype)


def slerp(part: float, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`part` of the way from `one` to `other` along the sphere, so that noise stays noise (Shoemake 1985, "Animating
    rotation with quaternion curves"). Column by column of the latents, as A1111 does it: its variations come out the
    same here."""
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=-2).clamp(-1, 1).unsqueeze(-2)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    straight = one + part * (other - one)
    around = (torch.sin((1 - part) * angle) * one + torch.sin(part * angle) * other) / sine.clamp_min(1e-6)
    return torch.where(sine < 1e-3, straight, around)
