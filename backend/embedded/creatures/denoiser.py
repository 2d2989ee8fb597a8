"""The denoiser: a UNet and a CLIP text encoder, trained together from nothing on latents and captions.

Velocity prediction on Stable Diffusion's noise schedule, a tenth of the captions empty (for guidance), weights
averaged. No caption holds a word without meaning: a model that is shown random words learns to ignore new ones, and
then no LoRA can teach it any.

    python -m embedded.creatures.denoiser --data D --vae D/vae64 --out D/denoiser --cpu-seconds 2300
    python -m embedded.creatures.denoiser --data D --vae D/vae64 --out D/favoured --cpu-seconds 1200 \
        --start D/denoiser --peak 2.5e-3 --favour scarf=.27,bow=.2,tail=.1

The second line is the second stage: what is small in the picture (a bow, a scarf, a tail) hardly shows in the loss, so
those pictures are drawn more often, and their captions are never empty.
"""

import argparse
import json
import math
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .autoencoder import CHANNELS, LATENT, encode
from .captions import ACCESSORIES, PARTS, Traits
from .dataset import CAPTIONS_EACH, captions_of, traits_of
from .muon import Muon
from .training import Average, one_thread, set_rate, steps

WIDTHS = (64, 128)
TEXT_WIDTH, TEXT_LAYERS, TOKENS = 128, 2, 77
BATCHES, PEAK = (16, 32), 6e-3  # many small steps first, then fewer steadier ones
# The second stage: its learning rate, and the shares of its samples drawn from the pictures with each of these. The
# rest, four tenths, are drawn from all pictures, so that nothing else is forgotten.
SECOND_PEAK, FAVOUR = 2.5e-3, {"scarf": 0.27, "bow": 0.2, "tail": 0.1}
# By keyword, all of them: diffusers keeps only keyword arguments when it makes another scheduler from this one.
NOISE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}


def make_tokenizer(captions: list[str]) -> CLIPTokenizer:
    """CLIP's byte-level BPE, learned on the captions; any other word falls apart into bytes, which it also knows."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))  # noqa: S106 - a vocabulary entry
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = Regex(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "removed", True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        captions,
        trainers.BpeTrainer(
            vocab_size=1024,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    learned = json.loads(bpe.to_str())["model"]
    vocabulary = learned["vocab"]
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in learned["merges"]]
    for byte in sorted(alphabet):  # as in CLIP, every byte may also end a word
        vocabulary.setdefault(byte + "</w>", len(vocabulary))
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    return torch.tensor(tokenizer(captions, padding="max_length", max_length=TOKENS, truncation=True).input_ids)


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            projection_dim=TEXT_WIDTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet(widths: tuple[int, ...] = WIDTHS) -> UNet2DConditionModel:
    """Cross-attention at 8 x 8, in the four transformers of the inner level. At 16 x 16 as well it would cost half
    of the samples a CPU minute sees."""
    unet = UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    unet.set_attn_processor(AttnProcessor())
    return unet.to(memory_format=torch.channels_last)


def sampler() -> DPMSolverMultistepScheduler:
    """The scheduler the folder ships with. The two last keys are not its own: they wait for a DDIM scheduler made from
    its config, which would else clip the latents to -1..1 and spoil every picture."""
    scheduler = DPMSolverMultistepScheduler(
        **NOISE, algorithm_type="dpmsolver++", solver_order=2, timestep_spacing="trailing", steps_offset=1
    )
    scheduler.register_to_config(clip_sample=False, set_alpha_to_one=False)
    return scheduler


def assemble(unet, text_encoder, tokenizer, vae) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=sampler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def load_latents(data: Path, vae_path: Path) -> torch.Tensor:
    """The latents of the training pictures, encoded once and kept beside them."""
    kept = data / "latents.pt"
    if not kept.exists():
        vae = AutoencoderKL.from_pretrained(vae_path).eval()
        torch.save(encode(vae, torch.from_numpy(np.load(data / "pictures64.npy"))).half(), kept)
    return torch.load(kept).float()


def has(traits: Traits, name: str) -> bool:
    """Whether the creature has this part or wears this accessory."""
    return traits.accessory == name or getattr(traits, name, False) is True


def chances(creatures: list[Traits], favour: dict[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each picture is drawn, as weights that add up to 1, and whether it has anything that is favoured."""
    weights = torch.full((len(creatures),), (1 - sum(favour.values())) / len(creatures))
    favoured = torch.zeros(len(creatures), dtype=torch.bool)
    for name, share in favour.items():
        those = torch.tensor([has(creature, name) for creature in creatures])
        weights[those] += share / those.sum()
        favoured |= those
    return weights, favoured


def train(
    data: Path,
    vae_path: Path,
    out: Path,
    cpu_seconds: float,
    wall_seconds: float = math.inf,
    start: Path | None = None,
    peak: float = PEAK,
    widths: tuple[int, ...] = WIDTHS,
    favour: dict[str, float] | None = None,
) -> None:
    """Writes `out`/state.pt (averaged weights) and `out`/tokenizer at every twentieth of the budget and at its end.

    `favour` maps a part or an accessory to the share of the samples that are drawn from the pictures with it."""
    torch.manual_seed(0)
    latents = load_latents(data, vae_path)
    captions = [captions_of(i) for i in range(len(latents))]
    flat = [text for each in captions for text in each]
    tokenizer = (
        CLIPTokenizer.from_pretrained(start / "tokenizer")
        if start
        else make_tokenizer(random.Random(9).sample(flat, min(20_000, len(flat))))
    )
    ids = token_ids(tokenizer, flat).view(len(latents), CAPTIONS_EACH, TOKENS)
    nothing = token_ids(tokenizer, [""])
    weight, favoured = chances([traits_of(i) for i in range(len(latents))], favour or {})
    unet, text_encoder = build_unet(widths), build_text_encoder(tokenizer)
    if start:
        load_state(start, unet, text_encoder)
    weights = [*unet.parameters(), *text_encoder.parameters()]
    print(
        f"latents {tuple(latents.shape)} std {latents.std():.3f}; vocabulary {len(tokenizer)}; unet "
        f"{sum(p.numel() for p in unet.parameters()) / 1e6:.2f} M, text "
        f"{sum(p.numel() for p in text_encoder.parameters()) / 1e6:.2f} M",
        flush=True,
    )
    alphas = DDIMScheduler(**NOISE).alphas_cumprod
    inner = [p for name, p in unet.named_parameters() if p.ndim > 1 and not name.startswith(("conv_in", "conv_out"))]
    chosen = set(map(id, inner))
    muon = Muon(inner, lr=1.0)
    adam = torch.optim.AdamW([p for p in weights if id(p) not in chosen], lr=1.0, betas=(0.9, 0.99), foreach=True)
    average, losses, saved, seen = Average(weights, 0.998), [], 0, 0

    def save() -> None:
        average.swap()
        out.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(out / "tokenizer")
        torch.save({"unet": unet.state_dict(), "text": text_encoder.state_dict()}, out / "state.tmp")
        (out / "state.tmp").replace(out / "state.pt")
        average.swap()

    for step, fraction in steps(cpu_seconds, "denoiser", losses, wall_seconds=wall_seconds):
        set_rate(muon, peak, step, fraction, flat=0.0 if start else 0.35)
        set_rate(adam, peak / PEAK * 1e-3, step, fraction, flat=0.0 if start else 0.35)
        n = BATCHES[0] if fraction < 0.45 and not start else BATCHES[1]
        index = torch.multinomial(weight, n, replacement=True)
        clean, words = latents[index], ids[index, torch.randint(CAPTIONS_EACH, (n,))]
        silent = (torch.rand(n) < 0.1) & ~favoured[index] if favour else torch.rand(n) < 0.1
        words = torch.where(silent[:, None], nothing, words)
        # One time step from each of n equal strata: a steadier gradient than n free ones.
        times = ((torch.rand(()) + torch.arange(n) / n) % 1 * 1000).long()
        alpha, noise = alphas[times].view(-1, 1, 1, 1), torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        made = unet(noisy, times, text_encoder(words).last_hidden_state).sample
        loss = (made - velocity).pow(2).mean()
        muon.zero_grad()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        muon.step()
        adam.step()
        average.step()
        losses.append(loss.item())
        seen += n
        if fraction * 20 > saved + 1:
            saved += 1
            save()
    save()
    print(f"denoiser: {len(losses)} steps, {seen} samples", flush=True)


def load_state(folder: Path, unet, text_encoder) -> None:
    state = torch.load(folder / "state.pt")
    unet.load_state_dict(state["unet"])
    text_encoder.load_state_dict(state["text"])


def export(folder: Path, vae_path: Path, out: Path) -> None:
    """The trained parts as one diffusers folder: fp16, but for the text encoder. transformers loads weights in the
    type of the file where diffusers loads float32, and the two must agree when nobody says which."""
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    unet, text_encoder = build_unet(), build_text_encoder(tokenizer)
    load_state(folder, unet, text_encoder)
    vae = AutoencoderKL.from_pretrained(vae_path)
    vae.register_to_config(_name_or_path="")  # nobody needs to know where it was trained
    assemble(unet.half(), text_encoder, tokenizer, vae.half()).save_pretrained(out, safe_serialization=True)


def shares(text: str) -> dict[str, float]:
    """`scarf=.27,bow=.2` as a dict; argparse turns the ValueError for anything else into a message."""
    favour = {name: float(share) for name, share in (pair.split("=") for pair in text.split(","))}
    if not set(favour) <= {*PARTS, *ACCESSORIES} - {"none"} or not 0 < sum(favour.values()) < 1:
        raise ValueError(text)
    return favour


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--vae", type=Path, required=True)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--cpu-seconds", type=float, required=True)
    args.add_argument("--wall-seconds", type=float, default=math.inf, help="stop by then on a busy machine")
    args.add_argument("--start", type=Path, help="go on from this folder's weights")
    args.add_argument("--peak", type=float, default=PEAK, help="highest learning rate")
    args.add_argument("--favour", type=shares, help="draw these more often: scarf=.27,bow=.2 (shares of the samples)")
    given = args.parse_args()
    one_thread()
    train(
        given.data,
        given.vae,
        given.out,
        given.cpu_seconds,
        given.wall_seconds,
        given.start,
        given.peak,
        favour=given.favour,
    )


if __name__ == "__main__":
    main()
