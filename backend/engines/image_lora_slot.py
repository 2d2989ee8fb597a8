"""All LoRAs of a run as one adapter of a compiled denoiser, so that taking others compiles nothing.

A compiled block is good for the adapters that it was compiled with: their names, ranks and number are part of it. So
there is one, always of the same name, whose rank is rounded up. The LoRAs of a run lie in its matrices side by side,
and what is left of the rank is zero:

    B₁A₁·w₁ + B₂A₂·w₂  =  [w₁B₁  w₂B₂  0] · [A₁; A₂; 0]

Another run copies other numbers to the same place. What was compiled is compiled again when the first LoRA comes, when
one changes layers that none did before, and when the ranks of a run exceed `rank`, which then doubles.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer

NAME = "slot"
LEAST_RANK = 64
"""Most published LoRAs have less."""

Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By layer: A [rank, in, …] and B [out, rank, …], which holds the scale (alpha / rank); on the CPU."""


def taken_out(part: torch.nn.Module, name: str) -> Pairs:
    """What the adapter `name` of a denoiser consists of. It stays where it is."""
    found: Pairs = {}
    for layer, module in part.named_modules():
        if isinstance(module, BaseTunerLayer) and name in module.lora_A:
            a, b = module.lora_A[name].weight, module.lora_B[name].weight
            found[layer] = (a.detach().cpu().clone(), (b.detach() * module.scaling[name]).cpu())
    return found


class Slot:
    """The one adapter of one denoiser."""

    def __init__(self) -> None:
        self.rank = 0
        self._layers: dict[str, Any] = {}

    def forget(self) -> None:
        """The denoiser is gone."""
        self.rank, self._layers = 0, {}

    @torch.no_grad()
    def fill(self, part: torch.nn.Module, loras: list[tuple[Pairs, float]]) -> None:
        """Run with these and their weights from now on."""
        layers = {layer for pairs, _ in loras for layer in pairs}
        ranks = [sum(pairs[layer][0].shape[0] for pairs, _ in loras if layer in pairs) for layer in layers]
        self._make(part, layers, max(ranks, default=0))
        for layer, module in self._layers.items():
            a, b = module.lora_A[NAME].weight, module.lora_B[NAME].weight
            a.zero_()
            b.zero_()
            first = 0
            for pairs, weight in loras:
                if layer in pairs:
                    down, up = pairs[layer]
                    last = first + down.shape[0]
                    a[first:last].copy_(down)
                    b[:, first:last].copy_(up * weight)
                    first = last
            module.set_adapter([NAME], inference_mode=True)
            module.enable_adapters(True)
            _frozen(module)

    def off(self) -> None:
        for module in self._layers.values():
            module.enable_adapters(False)

    def _make(self, part: torch.nn.Module, layers: set[str], rank: int) -> None:
        """Room for this rank in these layers, which hold an adapter's layer of peft already."""
        grown = self.rank or LEAST_RANK
        while grown < rank:
            grown *= 2
        lacking = layers - set(self._layers) if grown == self.rank else layers | set(self._layers)
        self.rank = grown
        for layer in sorted(lacking):
            module = part.get_submodule(layer)
            if NAME in module.lora_A:
                module.delete_adapter(NAME)
            config = LoraConfig(r=grown, lora_alpha=grown, init_lora_weights=False, inference_mode=True)
            module.update_layer(NAME, r=grown, lora_alpha=grown, config=config)
            base = module.get_base_layer().weight
            for made in (module.lora_A[NAME], module.lora_B[NAME]):
                made.to(base.device, part.dtype)
            self._layers[layer] = module


def _frozen(module: Any) -> None:
    """peft lets what is switched on be trained, which a compiled block would notice."""
    for made in (module.lora_A[NAME], module.lora_B[NAME]):
        made.requires_grad_(False)
