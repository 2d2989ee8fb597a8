"""How much memory a load or a run will take: formulas first, corrected by what was measured. Pure.

    bytes = framework + weights + activations            (+ key-value cache for language models)

*Weights*: parameters times the size of the type that they are loaded as.

*Activations of pictures*: the larger of two peaks, which do not happen at once.
 - the decoder's last stages at full size: `DECODER_TENSORS` feature maps of width × height × channels live together in
   a residual block: three of them are tensors (input, normalised, activated), the rest a convolution's workspace.
   Slicing decodes one picture after another; tiling decodes squares of `Anatomy.tile_side`, and smaller pictures whole.
   float16 overflows in some decoders, which are run in float32 then; bfloat16 does not (diffusers' pipelines).
 - the denoiser, of all frames of a video at once (they are decoded a few at a time): a U-Net keeps the output of every
   block of its way down for the way up (Ronneberger et al. 2015, §2) and widens its tokens eightfold in a gated MLP;
   a transformer holds a few token × width tensors and its MLP's, four times as wide (Peebles & Xie 2023, "Scalable
   diffusion models with transformers"). Guidance doubles the batch (Ho & Salimans 2022, "Classifier-free guidance").

The counts are those of diffusers' classes run on tensors without data, each allocation counted, and agree with what was
published of GPUs (GiB, above the weights): SDXL's U-Net 0.27, FLUX's transformer 0.46 (huggingface.co/datasets/
diffusers/benchmarks); SDXL at 1024² as a whole 2.5 in bfloat16, 3.9 with a decoder in float32 (…/datasets/sayakpaul/
sample-datasets, collated_results_sdxl.csv).

*Key-value cache*: 2 × layers × kv heads × head width × context × batch (Pope et al. 2022, "Efficiently scaling
transformer inference", §3.3; Kwon et al. 2023, "PagedAttention", §3). Devices share the heads; one that would get less
than one holds a whole one (Shoeybi et al. 2019, "Megatron-LM", §3).

`learned` fits framework + weights and activations to measurements by two factors, with the formulas as the prior, and
keeps the result monotone: more pixels, pictures or context never make an estimate smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from engines.upscaler_files import pixels_left

from atelier.models.anatomy import Anatomy

MIB = 1024**2
FRAMEWORK_BYTES = {"cpu": 72 * MIB, "cuda": 512 * MIB}
"""Of a worker without a model. CPU: its own memory, beyond the pages that it shares with its forkserver; 35 to 72 MiB
were measured, by how much of what is shared it wrote to.
CUDA: the driver's context (0.4 to 0.6 GB on recent cards), as `engines.image_memory` counts it."""

SERVER_BYTES = {
    "vllm_cpu_chat": {"cpu": 1050 * MIB, "cuda": 1050 * MIB},
    "vllm_chat": {"cpu": 1500 * MIB, "cuda": 2560 * MIB},
    "transformers_chat": {"cpu": 700 * MIB, "cuda": 900 * MIB},
}
"""Of a chat engine without weights and cache. CPU: measured, the private memory of vLLM's two processes and of
transformers' one. CUDA: the driver's context and what vLLM records as CUDA graphs; not measured yet."""

TYPE_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8": 1.0}
QUANTIZED_BYTES = {"int8": 1.0, "fp8": 1.0, "fp4": 0.57}
"""Of one parameter of a quantised matrix, scales included."""

IN_BLOCKS = 0.05
"""What share of a picture model is on a GPU at once when it is moved there block by block, the next one while this one
works. FLUX's transformer: 0.09 of 22 GiB beside its activations (huggingface.co/datasets/diffusers/benchmarks)."""

DENOISERS_SHARE = 0.75
"""Of a picture model's parameters, where nobody counted: 0.59 (SD 3.5 Large) to 0.81 (SD 1.5)."""

UPSCALER_TILE_BYTES = {"cpu": 1024 * MIB, "cuda": 768 * MIB}
"""What an upscaler takes of memory beside its weights: a tile of `engines.image_upscalers` through 64 feature maps,
four times as wide and high. CPU: float32; CUDA: half."""

ENLARGED_BYTES = 3
"""For each pixel of the picture as an upscaler's network leaves it."""

DECODER_TENSORS = {"cpu": {4.0: 8, 2.0: 8, 1.0: 8}, "cuda": {4.0: 4, 2.0: 5, 1.0: 10}}
"""By the bytes of an element; smaller ones leave more of it to the workspace."""

DENOISER_TENSORS = {"image": 16, "video": 24}
"""A video's blocks attend a second time, from frame to frame."""

TOKEN_TENSORS = 24
FRAMES_DECODED = 2
"""Of a video, so many frames are decoded at once."""
PREFILL_TOKENS = 8192
"""vLLM's `max_num_batched_tokens`: so many tokens of prompts are in flight at once."""
SPARE_TOKENS = 256
"""vLLM hands its cache out in blocks (16 tokens on CUDA, 128 on a processor), keeps one back, and does not start where
a single request of the whole context lacks one."""

LAST = 20
"""So many measurements of each size are kept."""


@dataclass(frozen=True)
class Work:
    """What is to be done. Pictures: `width` × `height` pixels, `batch` at once, with guidance or not; a video has so
    many `frames` of them. Language: `context` tokens for each of `batch` requests. A load alone is a `Work()`."""

    width: int = 0
    height: int = 0
    batch: int = 1
    guided: bool = True
    context: int = 0
    frames: int = 1


@dataclass(frozen=True)
class Parts:
    """An estimate by the formulas alone, in bytes on one device."""

    framework: int
    weights: int
    activations: int
    cache: int = 0

    @property
    def fixed(self) -> int:
        return self.framework + self.weights

    @property
    def moving(self) -> int:
        """What depends on the size of the work."""
        return self.activations + self.cache

    @property
    def total(self) -> int:
        return self.fixed + self.moving


@dataclass(frozen=True)
class Band:
    """Bytes (or seconds): what to expect, and between what. Leases are for `high`."""

    low: float
    expected: float
    high: float

    def wider(self, share: float) -> Band:
        """By this share of what is expected, both ways."""
        more = share * self.expected
        return Band(max(0.0, self.low - more), self.expected, self.high + more)


@dataclass(frozen=True)
class Seen:
    """A measurement. `moving` is what the formulas said of that work; `oom`: it ran out of memory at `peak` bytes."""

    moving: int
    peak: int
    oom: bool = False


def parts(
    anatomy: Anatomy,
    work: Work,
    *,
    kind: str,
    dtype: str,
    devices: int = 1,
    quantization: str = "none",
    offload: str = "none",
    slicing: str = "none",
    tiling: str = "none",
    kv_cache: str = "none",
    engine: str = "",
) -> Parts:
    """The formulas. `kind` is the device's, `dtype` a key of `TYPE_BYTES`; `devices` share weights and cache. A
    denoiser's or language model's matrices may be quantised, so may keys and values (`kv_cache`), parts of a model
    for pictures kept away from a GPU (`offload`), and its decoder may work piece by piece (`slicing`, `tiling`: "vae").
    `engine`: a chat engine has a server of its library besides."""
    size = TYPE_BYTES[dtype]
    saved = anatomy.linear * max(0.0, size - QUANTIZED_BYTES.get(quantization, size))
    draws = anatomy.task in ("image", "video")
    heads = max(1, ceil(anatomy.kv_heads / devices)) if anatomy.kv_heads else 0
    per_token = 2 * anatomy.layers * heads * anatomy.head_dim * QUANTIZED_BYTES.get(kv_cache, size)
    tokens = work.context * work.batch + SPARE_TOKENS if work.context else 0
    weights = anatomy.quantized_bytes or anatomy.parameters * size - saved
    activations = 0.0 if draws else _chat(anatomy, work)
    if draws:
        overflows = anatomy.upcasts_decoder and dtype == "float16"
        pixels = _decoded_at_once(anatomy, work, slicing=slicing != "none", tiling=tiling != "none")
        wide = 4.0 if overflows else size
        maps = DECODER_TENSORS[kind][wide] * wide * anatomy.decoder_channels
        decoder, denoiser = pixels * maps, _denoiser(anatomy, work, size)
        if offload == "model" and kind != "cpu":
            weights = _largest_part(anatomy, size, saved)
            decoder -= weights  # which have left the device before it decodes
        elif offload == "group" and kind != "cpu":
            weights *= IN_BLOCKS
        activations = max(decoder, denoiser)
    return Parts(
        framework=SERVER_BYTES.get(engine, FRAMEWORK_BYTES)[kind],
        weights=int(weights / devices),
        activations=int(activations),
        cache=int(per_token * tokens),
    )


def _largest_part(anatomy: Anatomy, size: float, saved: float) -> float:
    """Of a picture model whose parts are on the device one after another."""
    denoiser = anatomy.denoiser or anatomy.parameters * DENOISERS_SHARE
    return max(denoiser * size - saved, (anatomy.other_part or anatomy.parameters - denoiser) * size)


def _decoded_at_once(anatomy: Anatomy, work: Work, *, slicing: bool, tiling: bool) -> int:
    """Pixels that the decoder has in hand at its peak."""
    width, height = work.width, work.height
    if tiling and anatomy.tile_side:
        width, height = min(width, anatomy.tile_side), min(height, anatomy.tile_side)
    return width * height * (1 if slicing else work.batch) * min(work.frames, FRAMES_DECODED)


def _denoiser(anatomy: Anatomy, work: Work, size: float) -> float:
    latents = work.width * work.height * work.batch * work.frames / anatomy.latent_side**2 * (2 if work.guided else 1)
    if anatomy.unet_channels:
        kept = sum(
            channels * (anatomy.unet_layers + 1) / 4**stage for stage, channels in enumerate(anatomy.unet_channels)
        )
        return latents * (kept + DENOISER_TENSORS[anatomy.task] * anatomy.unet_channels[0]) * size
    return latents / anatomy.patch**2 * anatomy.hidden * TOKEN_TENSORS * size


def _chat(anatomy: Anatomy, work: Work) -> float:
    tokens = min(PREFILL_TOKENS, work.context * work.batch)
    return tokens * anatomy.hidden * TOKEN_TENSORS * 2.0 + work.batch * anatomy.vocabulary * 4.0


def upscaler_bytes(file_bytes: int, pixels: int, kind: str) -> int:
    """What an upscaler takes beside everything else, for a result of so many pixels. Files of half precision are held
    in whole on a CPU."""
    return 2 * file_bytes + UPSCALER_TILE_BYTES[kind] + ENLARGED_BYTES * pixels_left(pixels)


# ── learning ──────────────────────────────────────────────────────────────────


def learned(by_formula: Parts, seen: Sequence[Seen]) -> Band:
    """The band for one work, from the formulas and from what was measured of the same model, device and options."""
    measured = [one for one in seen if not one.oom]
    fixed, factor = _fit(by_formula.fixed, measured)
    x = by_formula.moving
    # Runs of this size or less took as much at times: so will this one.
    floor = max((_quantile([o.peak for o in measured if o.moving == m], 0.75) for m in _sizes(measured, x)), default=0)
    expected = max(fixed + factor * x, floor)
    off = [one.peak - (fixed + factor * one.moving) for one in measured]
    doubt = (0.10 * fixed + 0.40 * factor * x) / sqrt(1 + len(measured))
    high = expected + max(doubt, _quantile([max(0.0, each) for each in off], 0.9))
    low = expected - max(doubt, _quantile([max(0.0, -each) for each in off], 0.9))
    failed = max((one.peak for one in seen if one.oom and one.moving <= x), default=0)
    high = max(high, 1.3 * failed)
    return Band(max(0.0, low), max(expected, 1.1 * failed), high)


def _sizes(measured: Sequence[Seen], most: int) -> set[int]:
    return {one.moving for one in measured if one.moving <= most}


def _fit(fixed: int, measured: Sequence[Seen]) -> tuple[float, float]:
    """Bytes that are always there, and the factor of the formulas' moving part: least squares on both, drawn towards
    the formulas as strongly as half a measurement would."""
    if not measured:
        return float(fixed), 1.0
    scale = max(1.0, max(one.moving for one in measured))
    prior = 0.5
    # Unknowns: f (of `fixed`) and k (of the moving part); each measurement is f·fixed + k·moving = peak.
    aa = prior * fixed**2 + sum(fixed**2 for _ in measured)
    ab = sum(fixed * one.moving for one in measured)
    bb = prior * scale**2 + sum(one.moving**2 for one in measured)
    a = prior * fixed**2 + sum(fixed * one.peak for one in measured)
    b = prior * scale**2 + sum(one.moving * one.peak for one in measured)
    determinant = aa * bb - ab * ab
    if determinant <= 0:
        return float(fixed), 1.0
    f, k = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
    return max(0.05, f) * fixed, max(0.02, k)


def seconds(amount: float, runs: Sequence[tuple[float, float]]) -> Band | None:
    """How long `amount` of work takes, from runs as (amount, seconds); None when nothing is known."""
    paces = [taken / done for done, taken in runs[-LAST:] if done > 0 and taken > 0]
    if not paces:
        return None
    middle, doubt = _quantile(paces, 0.5), 0.5 / sqrt(len(paces))
    low, high = _quantile(paces, 0.1), _quantile(paces, 0.9)
    return Band(amount * min(low, middle * (1 - doubt)), amount * middle, amount * max(high, middle * (1 + doubt)))


def _quantile(values: Sequence[float], at: float) -> float:
    """By linear interpolation between the order statistics; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    place = at * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
