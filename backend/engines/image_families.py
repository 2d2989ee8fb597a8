"""Families of picture models as data: which pipeline classes serve which task, and what each wants to be told.

The key of `FAMILIES` is the class that a model's `model_index.json` names. Pipelines for other tasks are made of the
loaded one's parts (`sibling`): nothing is read twice.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, Literal

import diffusers
import torch

from engines.image_speed import held_bytes


@dataclass(frozen=True)
class Family:
    """`text`, `image`, `inpaint`: names of diffusers classes for a picture from words, from another picture, and for
    the part under a mask; None where diffusers has none. Without `inpaint`, inpainting is image-to-image whose latents
    outside the mask are put back after every step (see `image_steps`), which is what diffusers' inpainting of
    denoisers with plain inputs does as well.

    `start`: what `image` takes: "latents" to begin from, or a "reference" to look at, which `strength` has no say in.

    `guidance`: "classifier_free" (negative prompts work, 1 or less switches it off), "embedded" (the scale is an input
    of the denoiser; no negative prompt).

    `embeddings`: what `encode_prompt` answers, in its order, by the names of the call's arguments ("" = the call makes
    it itself); empty: the call is given words. `packed`: latents are rows of 2 × 2 patches.
    """

    text: str | None
    image: str | None
    inpaint: str | None = None
    start: Literal["latents", "reference"] = "latents"
    guidance: Literal["classifier_free", "embedded"] = "classifier_free"
    embeddings: tuple[str, ...] = ()
    packed: bool = False

    def guides(self, pipe: Any, scale: float) -> bool:
        """Whether the denoiser runs twice a step. A UNet that was distilled from a guided one takes the scale in."""
        unet = getattr(pipe, "unet", None)
        takes_it_in = unet is not None and getattr(unet.config, "time_cond_proj_dim", None) is not None
        return self.guidance == "classifier_free" and scale > 1 and not takes_it_in


_CLIP = ("prompt_embeds", "negative_prompt_embeds")
_POOLED = (*_CLIP, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")

_SD = Family("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", embeddings=_CLIP)
_SDXL = Family("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", embeddings=_POOLED)
_FLUX = Family(
    "FluxPipeline",
    "FluxImg2ImgPipeline",
    guidance="embedded",
    embeddings=("prompt_embeds", "pooled_prompt_embeds", ""),
    packed=True,
)

FAMILIES: dict[str, Family] = {
    "StableDiffusionPipeline": _SD,
    "StableDiffusionInpaintPipeline": replace(_SD, text=None, image=None, inpaint="StableDiffusionInpaintPipeline"),
    "LatentConsistencyModelPipeline": _SD,  # whose pipelines know UNets that take the guidance scale in
    "StableDiffusionXLPipeline": _SDXL,
    "StableDiffusionXLImg2ImgPipeline": replace(_SDXL, text=None),
    "StableDiffusionXLInpaintPipeline": replace(
        _SDXL, text=None, image=None, inpaint="StableDiffusionXLInpaintPipeline"
    ),
    "StableDiffusion3Pipeline": Family(
        "StableDiffusion3Pipeline",
        "StableDiffusion3Img2ImgPipeline",
        embeddings=_POOLED,
    ),
    "FluxPipeline": _FLUX,
    "FluxKontextPipeline": replace(_FLUX, text="FluxKontextPipeline", image="FluxKontextPipeline", start="reference"),
    "FluxFillPipeline": replace(_FLUX, text=None, image=None, inpaint="FluxFillPipeline"),
}


def family_of(pipe: Any) -> Family:
    """The family of a loaded pipeline. A class that the table does not know makes pictures from words, if nothing
    else: its prompts go to the call as they are."""
    name = type(pipe).__name__
    known = FAMILIES.get(name, Family(name, None))
    if name.endswith("InpaintPipeline") and _plain_input(pipe):  # a plain model, published under the other class
        return _SDXL if name.startswith("StableDiffusionXL") else _SD
    return known


def _plain_input(pipe: Any) -> bool:
    unet = getattr(pipe, "unet", None)
    return unet is not None and unet.config.in_channels == pipe.vae.config.latent_channels


def sibling(pipe: Any, name: str) -> Any:
    """A pipeline of the class `name` over the same parts. Not `from_pipe`, which casts every part to one type: parts
    that are quantised, or kept in float32 on purpose, must stay what they are."""
    cls = getattr(diffusers, name)
    if type(pipe) is cls:
        return pipe
    wanted = inspect.signature(cls.__init__).parameters
    given = {**pipe.config, **pipe.components}
    made = cls(**{key: value for key, value in given.items() if key in wanted and not key.startswith("_")})
    made.set_progress_bar_config(disable=True)
    return made


def size_multiple(pipe: Any) -> int:
    """Width and height must be multiples of this: the autoencoder's factor times a transformer's patch."""
    transformer = getattr(pipe, "transformer", None)
    patch = getattr(transformer.config, "patch_size", 1) if transformer is not None else 1
    factor = int(getattr(pipe, "vae_scale_factor", 8))
    return factor * max(patch if isinstance(patch, int) else 1, 2 if family_of(pipe).packed else 1)


def weighty(pipe: Any) -> list[str]:
    """The names of the components that hold weights."""
    return [name for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)]


def weights_bytes(pipe: Any) -> int:
    parts = [pipe.components[name] for name in weighty(pipe)]
    return sum(held_bytes(tensor) for part in parts for tensor in (*part.parameters(), *part.buffers()))
