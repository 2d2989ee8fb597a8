"""Teaches the base a word it has never seen, with a LoRA on twenty drawings, and measures whether the word binds.

    python -m embedded.creatures.teach_lora embedded/models/creatures --concept crown --cpu-seconds 170

The LoRA sits on the UNet's attention and convolutions and on the text encoder. Half of the trick is what the drawings
without the concept say: the same number of drawings of the same kind, without the word, so that the word is what
makes the difference.
"""

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image

from .autoencoder import encode
from .captions import Traits, plain_caption, sample_traits
from .denoiser import token_ids
from .drawing import CONCEPTS, draw
from .evaluate import generate, load, score, sheet
from .judge import judge
from .training import one_thread, set_rate, steps

DRAWINGS, RANK, RATE = 20, 8, 2e-3
WORDS = {"crown": "zorb crown", "crystals": "zorb crystals"}
UNET_LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2"]
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]


def bare(rng: random.Random) -> Traits:
    """A creature with nothing on its head."""
    return replace(sample_traits(rng), accessory="none", horns=False)


def say(traits: Traits, concept: str) -> str:
    """The caption with the new word in it."""
    head, _, place = plain_caption(traits).partition(" on a ")
    return f"{head}{' and' if ' with ' in head else ' with'} {WORDS[concept]} on a {place}"


def lessons(pipe, concept: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and token ids: DRAWINGS with the concept and its word, then as many without either."""
    rng = random.Random(seed)
    shown = [(bare(rng), i < DRAWINGS) for i in range(2 * DRAWINGS)]
    size = pipe.vae.config.sample_size
    pictures = [draw(t, 31_000_000 + i, size, concept if has else None) for i, (t, has) in enumerate(shown)]
    stack = torch.stack(
        [torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8).view(size, size, 3) for p in pictures]
    )
    ids = token_ids(pipe.tokenizer, [say(t, concept) if has else plain_caption(t) for t, has in shown])
    return encode(pipe.vae, stack) * pipe.vae.config.scaling_factor, ids


def teach(pipe, concept: str, cpu_seconds: float, out: Path, seed: int = 0) -> None:
    """Trains the adapter on `pipe` and writes `out`/pytorch_lora_weights.safetensors."""
    torch.manual_seed(seed)
    latents, ids = lessons(pipe, concept, seed)
    unet, text = pipe.unet, pipe.text_encoder
    for part, layers in ((unet, UNET_LAYERS), (text, TEXT_LAYERS), (pipe.vae, None)):
        part.requires_grad_(False)
        if layers:
            part.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=layers))
    weights = [p for part in (unet, text) for p in part.parameters() if p.requires_grad]
    optimiser, alphas, losses = torch.optim.AdamW(weights, lr=1.0, weight_decay=1e-3), pipe.scheduler.alphas_cumprod, []
    for step, fraction in steps(cpu_seconds, f"lora {concept}", losses, every=50):
        set_rate(optimiser, RATE, step, fraction, warmup=20)
        index = torch.cat([torch.randint(DRAWINGS, (10,)), DRAWINGS + torch.randint(DRAWINGS, (6,))])
        clean, n = latents[index], len(index)
        times = (((torch.rand(()) + torch.arange(n) / n) % 1) * 1000).long()[torch.randperm(n)]
        alpha, noise = alphas[times].view(-1, 1, 1, 1), torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        made = unet(noisy, times, text(ids[index]).last_hidden_state).sample
        loss = (made - (alpha.sqrt() * noise - (1 - alpha).sqrt() * clean)).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        losses.append(loss.item())
    StableDiffusionPipeline.save_lora_weights(
        out,
        unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(unet)),
        text_encoder_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(text)),
    )


def measure(model: Path, lora: Path, concept: str, count: int = 24) -> tuple[dict, Image.Image]:
    """How often the judge sees the concept, and how well the rest is obeyed, on creatures the LoRA has not seen.
    The LoRA is loaded the public way into a fresh base."""
    rng = random.Random(99)
    wanted = [bare(rng) for _ in range(count)]
    without, with_word = [plain_caption(t) for t in wanted], [say(t, concept) for t in wanted]
    pipe, pictures = load(model), {}
    pictures["base, with the word"] = generate(pipe, with_word, 900)
    pipe.load_lora_weights(lora)
    pictures["LoRA, without the word"] = generate(pipe, without, 900)
    pictures["LoRA, with the word"] = generate(pipe, with_word, 900)
    figures = {}
    for name, made in pictures.items():
        rest = score(made, wanted)
        figures[name] = {
            "concept seen": round(sum(v["concept"] == concept for v in judge(made)) / count, 2),
            "species and colour": rest["species and colour"],
            "everything named": rest["everything named"],
        }
    rows = [p for made in pictures.values() for p in made[:8]]
    return figures, sheet(rows, [text for texts in (with_word, without, with_word) for text in texts[:8]])


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model", type=Path)
    args.add_argument("--concept", choices=CONCEPTS, default="crown")
    args.add_argument("--cpu-seconds", type=float, default=170)
    args.add_argument("--out", type=Path, default=Path("/tmp/creatures-lora"))
    given = args.parse_args()
    one_thread()
    teach(load(given.model), given.concept, given.cpu_seconds, given.out)
    figures, page = measure(given.model, given.out, given.concept)
    page.save(given.out / "sheet.png")
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
