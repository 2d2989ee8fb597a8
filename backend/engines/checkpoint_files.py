"""Checkpoints in one file, as A1111 and kohya write them: which model is it, by the names and shapes of its tensors.

Standard library only, and no tensor is read. `single_file` loads them; what such a file does not say of itself lies in
`checkpoint_layouts/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path
from typing import Any

from engines.safetensors_file import Header

LAYOUTS = Path(__file__).with_name("checkpoint_layouts")
RUN_FROM_ONE_FILE = frozenset({"sd15", "sd2", "sdxl", "sd3", "flux"})
"""The families whose checkpoints are run. What a file lacks is taken from another model of its family."""

CROSS_ATTENTION = {768: "sd15", 1024: "sd2", 2048: "sdxl"}
"""Family by the width of the text that cross-attention reads: CLIP-L, OpenCLIP-H, both CLIPs of SDXL."""

DENOISER = "model.diffusion_model."
FIRST_CONVOLUTION = "input_blocks.0.0.weight"
FIRST = {"sd3": "x_embedder.proj.weight", "flux": "img_in.weight"} | dict.fromkeys(
    ("sd15", "sd2", "sdxl"), FIRST_CONVOLUTION
)
"""Of a family's denoiser: the layer that reads the latents."""
LATENTS = {"sd3": 16, "flux": 64}
"""Channels of the latents that a family's denoisers see, where not 4."""
HEAD_WIDTH = 64
"""Of the attention of SD 3."""
_AUTOENCODER = ("first_stage_model.", "vae.")
_ENCODERS_OF_SD = ("cond_stage_model.", "conditioner.embedders.")
_CLIP_L, _CLIP_G = ("text_encoders.clip_l.transformer.",), ("text_encoders.clip_g.transformer.",)
PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "sd15": {"vae": _AUTOENCODER, "text_encoder": _ENCODERS_OF_SD},
    "sd2": {"vae": _AUTOENCODER, "text_encoder": _ENCODERS_OF_SD},
    "sdxl": {
        "vae": _AUTOENCODER,
        "text_encoder": ("conditioner.embedders.0.",),
        "text_encoder_2": ("conditioner.embedders.1.",),
    },
    "sd3": {"vae": _AUTOENCODER, "text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
    "flux": {"vae": _AUTOENCODER, "text_encoder": _CLIP_L, "text_encoder_2": ()},
}
"""The components beside the denoiser, by how the names of their tensors begin. T5 is taken from no file, since its
vocabulary is not shipped: SD 3 can do without, FLUX takes it from another model."""
PACKED = (".absmax", ".quant_map", ".qweight")
"""Endings of names in files whose weights are packed by bitsandbytes, GPTQ or their like."""
SCALE = ".scale_weight"
"""Ending of the number by which a matrix of 8 bits is multiplied, as ComfyUI writes them."""
PIPELINES = {
    ("sd15", 4): "StableDiffusionPipeline",
    ("sd15", 9): "StableDiffusionInpaintPipeline",
    ("sdxl", 4): "StableDiffusionXLPipeline",
    ("sdxl", 9): "StableDiffusionXLInpaintPipeline",
    ("sd2", 4): "StableDiffusionPipeline",
    ("sd2", 9): "StableDiffusionInpaintPipeline",
    ("sd3", 16): "StableDiffusion3Pipeline",
    ("flux", 64): "FluxPipeline",
    ("flux", 384): "FluxFillPipeline",
}
"""By family and by what the denoiser sees: latents, or latents, a mask and the masked picture. FLUX's are rows of
2 × 2 patches."""


@dataclass(frozen=True)
class Layout:
    """How a checkpoint is to be read. `folder`: configurations of its parts; `channels`: of the denoiser's input;
    `denoiser`: what of the denoiser's configuration is told by the shapes of its tensors; `prefix`: how their names
    begin; `missing`: components that the file lacks; `predicts_v`, `zero_snr`: what trainers of such models mark with
    a tensor of that meaning (`v_pred`, `ztsnr`)."""

    family: str
    folder: Path
    pipeline: str
    channels: int
    denoiser: dict[str, Any] = field(default_factory=dict)
    prefix: str = DENOISER
    missing: tuple[str, ...] = ()
    predicts_v: bool = False
    zero_snr: bool = False

    @property
    def lent(self) -> tuple[str, ...]:
        """The components that another model has to lend: those that are missing, each encoder with its tokenizer."""
        return tuple(
            name
            for part in self.missing
            for name in ((part, part.replace("text_encoder", "tokenizer")) if part != "vae" else (part,))
        )


def _shapes(header: Header, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): one.shape for name, one in header.tensors.items() if name.startswith(prefix)}


def _blocks(names: Iterable[str], kind: str) -> int:
    return len({name.split(".")[1] for name in names if name.startswith(f"{kind}.")})


def _sd3(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Stable Diffusion 3, 3.5 medium and 3.5 large differ in what can be counted. Empty where something is missing:
    whoever loads it will say what."""
    try:
        (width, text), places = shapes["context_embedder.weight"], shapes["pos_embed"][1]
        pooled = shapes["y_embedder.mlp.0.weight"][1]
    except (KeyError, ValueError, IndexError):
        return {}
    twice = {int(name.split(".")[1]) for name in shapes if name.startswith("joint_blocks.") and ".attn2." in name}
    normed = any(name.endswith(".ln_q.weight") for name in shapes)
    return {
        "num_layers": _blocks(shapes, "joint_blocks"),
        "num_attention_heads": width // HEAD_WIDTH,
        "caption_projection_dim": width,
        "joint_attention_dim": text,
        "pooled_projection_dim": pooled,
        "pos_embed_max_size": isqrt(places),
        "qk_norm": "rms_norm" if normed else None,
        "dual_attention_layers": tuple(sorted(twice)),
    }


def _flux(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """FLUX dev takes the guidance scale in, schnell does not; Fill sees more; smaller copies have fewer blocks. Empty
    where something is missing."""
    try:
        width, text = shapes["txt_in.weight"]
        pooled = shapes["vector_in.in_layer.weight"][1]
        (head,) = shapes["double_blocks.0.img_attn.norm.query_norm.scale"]
        seen, made = shapes["img_in.weight"][1], shapes["final_layer.linear.weight"][0]
    except (KeyError, ValueError, IndexError):
        return {}
    return {
        "in_channels": seen,
        "out_channels": made,
        "num_layers": _blocks(shapes, "double_blocks"),
        "num_single_layers": _blocks(shapes, "single_blocks"),
        "attention_head_dim": head,
        "num_attention_heads": width // max(1, head),
        "joint_attention_dim": text,
        "pooled_projection_dim": pooled,
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
    }


def checkpoint_family(header: Header) -> str | None:
    """The family of a whole model in one file, by names that only that family has; None for anything else."""
    names = header.tensors
    if any(name.startswith((f"{DENOISER}joint_blocks.", "joint_blocks.")) for name in names):
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


def _prefix(names: Iterable[str]) -> str:
    return DENOISER if any(one.startswith(DENOISER) for one in names) else ""


def channels_of(header: Header) -> int | None:
    """How many channels its denoiser sees; None where its first layer cannot be found."""
    first = header.tensors.get(_prefix(header.tensors) + FIRST.get(checkpoint_family(header) or "", ""))
    return first.shape[1] if first is not None and len(first.shape) >= 2 else None


def is_packed(header: Header) -> bool:
    """Whether its weights are stored in a way that only the library which packed them reads."""
    return any(name.endswith(PACKED) or ".bitsandbytes__" in name for name in header.tensors)


def layout_of(header: Header, name: str = "") -> Layout | None:
    """How to read a checkpoint; None for one that Atelier does not run from one file. `name`: the file's. It alone
    tells FLUX Kontext, whose tensors are FLUX dev's."""
    family, names = checkpoint_family(header), header.tensors
    prefix = _prefix(names)
    shapes, channels = _shapes(header, prefix), channels_of(header) or LATENTS.get(family or "", 4)
    if family not in RUN_FROM_ONE_FILE or (family, channels) not in PIPELINES or is_packed(header):
        return None
    missing = tuple(
        part for part, starts in PARTS[family].items() if not any(one.startswith(starts or "\0") for one in names)
    )
    denoiser = {"sd3": _sd3, "flux": _flux}.get(family, lambda _: {"in_channels": channels})(shapes)
    pipeline = PIPELINES[family, channels]
    titles = f"{name} {header.metadata.get('modelspec.title', '')}".lower()
    return Layout(
        family,
        LAYOUTS / family,
        "FluxKontextPipeline" if pipeline == "FluxPipeline" and "kontext" in titles else pipeline,
        channels,
        denoiser,
        prefix,
        missing,
        predicts_v="v_pred" in names,
        zero_snr="ztsnr" in names,
    )
