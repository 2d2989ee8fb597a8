"""Checkpoints in one file, as A1111 and kohya write them: which model is it, by the names and shapes of its tensors.

Standard library only, and no tensor is read. `single_file` loads them; what such a file does not say of itself lies in
`checkpoint_layouts/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path
from typing import Any

from engines.safetensors_file import Header

LAYOUTS = Path(__file__).with_name("checkpoint_layouts")
RUN_FROM_ONE_FILE = frozenset({"sd15", "sd2", "sdxl", "sd3"})
"""The families whose checkpoints are complete: weights of all parts, and nothing that only a folder would tell."""

CROSS_ATTENTION = {768: "sd15", 1024: "sd2", 2048: "sdxl"}
"""Family by the width of the text that cross-attention reads: CLIP-L, OpenCLIP-H, both CLIPs of SDXL."""

DENOISER = "model.diffusion_model."
FIRST_CONVOLUTION = f"{DENOISER}input_blocks.0.0.weight"
PATCHES = f"{DENOISER}x_embedder.proj.weight"
HEAD_WIDTH = 64
"""Of the attention of SD 3."""
PARTS: dict[str, tuple[str, ...]] = {
    "the autoencoder": ("first_stage_model.",),
    "the text encoder": ("cond_stage_model.", "conditioner.embedders."),
}
PARTS_OF_SD3: dict[str, tuple[str, ...]] = {
    "the autoencoder": ("first_stage_model.",),
    "the text encoder CLIP-L": ("text_encoders.clip_l.",),
    "the text encoder CLIP-G": ("text_encoders.clip_g.",),
}
"""Its T5 may be missing, and is not read where it is there: the vocabulary of T5 is not shipped."""
PIPELINES = {
    ("sd15", 4): "StableDiffusionPipeline",
    ("sd15", 9): "StableDiffusionInpaintPipeline",
    ("sdxl", 4): "StableDiffusionXLPipeline",
    ("sdxl", 9): "StableDiffusionXLInpaintPipeline",
    ("sd2", 4): "StableDiffusionPipeline",
    ("sd2", 9): "StableDiffusionInpaintPipeline",
    ("sd3", 16): "StableDiffusion3Pipeline",
}
"""By family and by what the denoiser sees: latents, or latents, a mask and the masked picture."""


@dataclass(frozen=True)
class Layout:
    """How a checkpoint is to be read. `folder`: configurations of its parts; `channels`: of the denoiser's input;
    `denoiser`: what of the denoiser's configuration is told by the shapes of its tensors; `missing`: parts that the
    file lacks; `predicts_v`, `zero_snr`: what trainers of such models mark with a tensor of that meaning (`v_pred`,
    `ztsnr`)."""

    family: str
    folder: Path
    pipeline: str
    channels: int
    denoiser: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    predicts_v: bool = False
    zero_snr: bool = False


def _sd3(header: Header) -> dict[str, Any]:
    """Stable Diffusion 3, 3.5 medium and 3.5 large differ in what can be counted. Empty where something is missing:
    whoever loads it will say what."""
    shapes = {
        name.removeprefix(DENOISER): one.shape for name, one in header.tensors.items() if name.startswith(DENOISER)
    }
    try:
        (width, text), places = shapes["context_embedder.weight"], shapes["pos_embed"][1]
        pooled = shapes["y_embedder.mlp.0.weight"][1]
    except (KeyError, ValueError, IndexError):
        return {}
    blocks = {name.split(".")[1] for name in shapes if name.startswith("joint_blocks.")}
    twice = {int(name.split(".")[1]) for name in shapes if name.startswith("joint_blocks.") and ".attn2." in name}
    normed = any(name.endswith(".ln_q.weight") for name in shapes)
    return {
        "num_layers": len(blocks),
        "num_attention_heads": width // HEAD_WIDTH,
        "caption_projection_dim": width,
        "joint_attention_dim": text,
        "pooled_projection_dim": pooled,
        "pos_embed_max_size": isqrt(places),
        "qk_norm": "rms_norm" if normed else None,
        "dual_attention_layers": tuple(sorted(twice)),
    }


def checkpoint_family(header: Header) -> str | None:
    """The family of a whole model in one file, by names that only that family has; None for anything else."""
    names = header.tensors
    if any(name.startswith(f"{DENOISER}joint_blocks.") for name in names):
        return "sd3"
    if any(name.startswith((f"{DENOISER}double_blocks.", "double_blocks.")) for name in names):
        return "flux"
    if any(name.startswith("conditioner.embedders.1.") for name in names):
        return "sdxl"
    if any(name.startswith(DENOISER) for name in names):
        for name, tensor in names.items():
            if name.endswith("attn2.to_k.weight") and len(tensor.shape) == 2:
                return CROSS_ATTENTION.get(tensor.shape[1])
    return None


def layout_of(header: Header) -> Layout | None:
    """How to read a checkpoint; None for one that Atelier does not run from one file."""
    family, names = checkpoint_family(header), header.tensors
    first = names.get(PATCHES if family == "sd3" else FIRST_CONVOLUTION)
    channels = first.shape[1] if first is not None and len(first.shape) == 4 else 4
    if family not in RUN_FROM_ONE_FILE or (family, channels) not in PIPELINES:
        return None
    parts = PARTS_OF_SD3 if family == "sd3" else PARTS
    missing = tuple(part for part, starts in parts.items() if not any(name.startswith(starts) for name in names))
    denoiser = _sd3(header) if family == "sd3" else {"in_channels": channels}
    return Layout(
        family,
        LAYOUTS / family,
        PIPELINES[family, channels],
        channels,
        denoiser,
        missing,
        predicts_v="v_pred" in names,
        zero_snr="ztsnr" in names,
    )
