"""Trains `lore` again, from nothing: the one command.

    cd backend && python -m embedded.lore.train --out /tmp/lore

makes the vocabulary, draws conversations without end from the grammar and trains a Qwen3 of 3.0 million parameters on
one thread until its budget of CPU seconds is spent. A folder that any engine loads stands in /tmp/lore/model from the
first checkpoint on. A second stage goes on from such a folder, half of it conversations whose answers copy from the
question, with a smaller step, and ends between where it began and where it came to:

    python -m embedded.lore.train --start /tmp/lore/model --out /tmp/lore-2 --cpu-seconds 1200

Seeds are fixed, but a budget in seconds stops at a different step on a different machine, so the weights will be like
the shipped ones, not the same bytes.
"""

import argparse
import math
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from embedded.creatures.muon import Muon
from embedded.creatures.training import Average, one_thread, set_rate, steps

from .dataset import CONTEXT, VOCABULARY, batches, train_tokenizer

SECONDS = 3200.0
TOKENS = 4096
PEAK = {"muon": 3e-3, "adam": 2e-3}
COPYING, SECOND_STAGE = 0.5, 0.5  # share of conversations that copy; the second stage's step, of the first's
MIX = 0.67  # of the second stage in what comes out, the rest is what it began with: it forgets less so
_SAVE_EVERY = 100


def new_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """192 wide, 6 layers, 6 heads of 32 over 2 keys and values, tied embeddings."""
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=576,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_theta=10_000.0,
        eos_token_id=end,
        pad_token_id=pad,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config)
    model.set_attn_implementation("eager")  # on short rows the fused kernel's backward pass costs half as much again
    model.generation_config = GenerationConfig(
        eos_token_id=[end, pad], pad_token_id=pad, do_sample=True, temperature=0.7, top_p=0.95
    )
    return model


def loss_of(model: Qwen3ForCausalLM, ids: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the learnt tokens: () float32. Only their logits are made."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        wanted = learnt[:, 1:]
        logits = model.lm_head(hidden[wanted])
    return functional.cross_entropy(logits.float(), ids[:, 1:][wanted])


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """bfloat16 safetensors, tokenizer and chat template."""
    kept = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    model.bfloat16().save_pretrained(out)
    model.float().load_state_dict(kept)
    tokenizer.save_pretrained(out)


def begin(start: Path | None) -> tuple[PreTrainedTokenizerFast, Qwen3ForCausalLM]:
    """A new model, or the one in `start` to go on from."""
    if start is None:
        tokenizer = train_tokenizer()
        return tokenizer, new_model(tokenizer)
    model = Qwen3ForCausalLM.from_pretrained(start, dtype=torch.float32).train()
    model.set_attn_implementation("eager")
    return AutoTokenizer.from_pretrained(start), model


def train(out: Path, cpu_seconds: float, wall_seconds: float, start: Path | None = None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tokenizer, model = begin(start)
    scale, copying, seed = (1.0, 0.0, 2) if start is None else (SECOND_STAGE, COPYING, 3)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    inner = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    outer = [weight for weight in model.parameters() if not any(weight is one for one in inner)]
    muon = Muon(inner, PEAK["muon"])
    adam = torch.optim.AdamW(outer, PEAK["adam"], betas=(0.9, 0.98), weight_decay=0.0)
    average, losses = Average(model.parameters(), 0.998), []
    stream = batches(seed, tokenizer.backend_tokenizer, TOKENS, copying)
    for step, fraction in steps(cpu_seconds, "lore", losses, wall_seconds=wall_seconds):
        set_rate(muon, scale * PEAK["muon"], step, fraction, flat=0.3)
        set_rate(adam, scale * PEAK["adam"], step, fraction, flat=0.3)
        loss = loss_of(model, *next(stream))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in (muon, adam):
            optimiser.step()
            optimiser.zero_grad()
        average.step()
        losses.append(loss.item())
        if step and step % _SAVE_EVERY == 0:
            average.swap()
            save(model, tokenizer, out / "model")
            average.swap()
    average.swap()
    if start is not None:
        mix(model, begin(start)[1])
    save(model, tokenizer, out / "model")


@torch.no_grad()
def mix(model: Qwen3ForCausalLM, before: Qwen3ForCausalLM) -> None:
    """Interpolates the weights of both stages, after Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"."""
    for weight, was in zip(model.parameters(), before.parameters(), strict=True):
        weight.lerp_(was, 1 - MIX)


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--start", type=Path, help="a folder to go on from: the second stage")
    args.add_argument("--cpu-seconds", type=float, default=SECONDS)
    args.add_argument("--wall-seconds", type=float, default=math.inf)
    given = args.parse_args()
    one_thread()
    train(given.out, given.cpu_seconds, given.wall_seconds, given.start)


if __name__ == "__main__":
    main()
