"""LoRAs of one loaded model: read from safetensors files, kept, switched on and off without reading anything again.

A LoRA is an adapter of peft beside the layers of the denoiser and the text encoders. Its weights stay in the model when
a run does without it (`LORA_BYTES_KEPT`), switched off: a layer without an adapter that is on computes what it computed
before there were any, to the last bit. In a compiled denoiser all of a run are one adapter (`image_lora_slot`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.lora_base import set_adapters_for_text_encoder
from diffusers.utils.peft_utils import set_adapter_layers
from peft.tuners.tuners_utils import BaseTunerLayer

from engines.engine import RunFailed
from engines.image_lora_slot import Pairs, Slot, taken_out
from engines.peft_folders import is_by_peft, read_by_peft
from engines.protocol import LoraUse
from engines.safetensors_file import Header, read_header

LORA_BYTES_KEPT = 1024**3
MAX_WEIGHT = 20.0
BASES = {
    "UNet2DConditionModel": {768: "sd15", 1024: "sd2", 2048: "sdxl"},
    "SD3Transformer2DModel": "sd3",
    "FluxTransformer2DModel": "flux",
}
"""What people call a denoiser: by its class, and UNets by the width of the text that they look at."""


@dataclass
class Adapter:
    """A LoRA in the model: peft's name for it, the parts of the pipeline that it changes, bytes that it takes. `pairs`:
    what of it waits for the slot of a compiled denoiser."""

    name: str
    parts: frozenset[str]
    bytes: int
    pairs: Pairs = field(default_factory=dict)


class Loras:
    """Belongs to a pipeline's parts, not to the pipeline: another task's pipeline over the same parts sees the same."""

    def __init__(self, kept_bytes: int = LORA_BYTES_KEPT, compiled: bool = False) -> None:
        self._kept_bytes = kept_bytes
        self._slot = Slot() if compiled else None
        self._adapters: OrderedDict[tuple[str, str], Adapter] = OrderedDict()
        self._made = 0
        self._active: tuple = ()
        self._on = False  # whether the layers compute with adapters at all

    @property
    def bytes(self) -> int:
        return sum(adapter.bytes for adapter in self._adapters.values())

    def forget(self) -> None:
        """The model's parts are gone, and the adapters with them."""
        self._adapters.clear()
        self._on, self._active = False, ()
        if self._slot is not None:
            self._slot.forget()

    def use(self, pipe: Any, uses: list[LoraUse]) -> None:
        """Run with exactly these from now on. Raises RunFailed naming the LoRA; the model is then as before the call,
        with none switched on."""
        wanted = {_identity(use): use for use in uses}  # the same twice: the last weight counts
        state = tuple((key, use.weight, _text_weight(use)) for key, use in wanted.items())
        if state == self._active:
            return
        try:
            for use in wanted.values():
                _check_weights(use)
            for key, use in wanted.items():
                if key not in self._adapters:
                    self._adapters[key] = self._read(pipe, use)
                self._adapters.move_to_end(key)
        except BaseException:
            self._switch_off(pipe)
            raise
        self._make_room(pipe, set(wanted))
        if wanted:
            self._switch_on(pipe, wanted)
        else:
            self._switch_off(pipe)
        self._active = state

    def _switch_on(self, pipe: Any, wanted: dict[tuple[str, str], LoraUse]) -> None:
        adapters = [self._adapters[key] for key in wanted]
        if self._slot is not None:
            together = zip(adapters, wanted.values(), strict=True)
            self._slot.fill(_denoiser(pipe), [(adapter.pairs, use.weight) for adapter, use in together])
            self._read_by_text_encoders(pipe, list(wanted.values()), adapters)
            return
        weights = [
            {part: _text_weight(use) if part.startswith("text_encoder") else use.weight for part in adapter.parts}
            for adapter, use in zip(adapters, wanted.values(), strict=True)
        ]
        if not self._on:
            pipe.enable_lora()
        self._on = True
        pipe.set_adapters([adapter.name for adapter in adapters], weights)

    def _read_by_text_encoders(self, pipe: Any, uses: list[LoraUse], adapters: list[Adapter]) -> None:
        """Which are not compiled: there each is an adapter of its own."""
        for name, part in _parts(pipe).items():
            if not name.startswith("text_encoder"):
                continue
            own = [(one.name, _text_weight(use)) for one, use in zip(adapters, uses, strict=True) if name in one.parts]
            set_adapter_layers(part, enabled=bool(own))
            if own:
                set_adapters_for_text_encoder([each for each, _ in own], part, [weight for _, weight in own])

    def _switch_off(self, pipe: Any) -> None:
        if self._slot is not None:
            self._slot.off()
            self._read_by_text_encoders(pipe, [], [])
        elif self._adapters:
            pipe.disable_lora()
        self._on, self._active = False, ()

    def _make_room(self, pipe: Any, in_use: set[tuple[str, str]]) -> None:
        for key in list(self._adapters):
            if self.bytes <= self._kept_bytes:
                break
            if key not in in_use:
                name = self._adapters.pop(key).name
                pipe.delete_adapters(name) if self._slot is None else _remove(pipe, name)

    def _read(self, pipe: Any, use: LoraUse) -> Adapter:
        header = _checked_header(use)
        if not hasattr(pipe, "load_lora_weights"):
            raise _unfit(pipe, use)
        self._made += 1
        name = f"lora_{self._made}"
        try:
            if is_by_peft(header):
                denoiser = "unet" if getattr(pipe, "unet", None) is not None else "transformer"
                pipe.load_lora_weights(read_by_peft(Path(use.path), denoiser), adapter_name=name)
            else:
                pipe.load_lora_weights(
                    str(Path(use.path).parent),
                    weight_name=Path(use.path).name,
                    adapter_name=name,
                    use_safetensors=True,
                    local_files_only=True,
                )
            adapter = _adapter(pipe, name)
            if 2 * _layers(pipe, adapter) < _pairs(header):
                raise ValueError("most of its layers are none of the model's")
            if self._slot is not None:
                adapter.pairs = taken_out(_denoiser(pipe), name)
                _remove_from(_denoiser(pipe), name)
        except (torch.OutOfMemoryError, MemoryError):
            _remove(pipe, name)
            raise
        except Exception as error:  # diffusers and peft raise whatever they stumbled over
            _remove(pipe, name)
            raise _unfit(pipe, use, header) from error
        return adapter


def _identity(use: LoraUse) -> tuple[str, str]:
    return use.path, use.sha256


def _text_weight(use: LoraUse) -> float:
    return use.weight if use.text_weight is None else use.text_weight


def text_state(uses: list[LoraUse]) -> tuple:
    """What of these LoRAs the text encoders notice."""
    return tuple(sorted((*_identity(use), _text_weight(use)) for use in uses))


def _check_weights(use: LoraUse) -> None:
    for weight in (use.weight, _text_weight(use)):
        if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
            raise RunFailed(
                "invalid_loras",
                f"the weight of the LoRA {use.key!r} must be from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}",
                sentence="lora_weight",
                lora=use.key,
                max=MAX_WEIGHT,
            )


def _checked_header(use: LoraUse) -> Header:
    path = Path(use.path)
    if path.suffix != ".safetensors":
        raise RunFailed(
            "invalid_loras",
            f"the LoRA {use.key!r} is no safetensors file",
            "Take one that is published as safetensors.",
            sentence="lora_pickle",
            lora=use.key,
        )
    try:
        return read_header(path)
    except FileNotFoundError as error:
        raise RunFailed(
            "invalid_loras",
            f"the file of the LoRA {use.key!r} is gone",
            "Download or register it again.",
            sentence="lora_missing",
            lora=use.key,
        ) from error
    except (ValueError, OSError) as error:
        raise RunFailed(
            "invalid_loras",
            f"the file of the LoRA {use.key!r} is damaged: {error}",
            "Download it again.",
            sentence="lora_damaged",
            lora=use.key,
        ) from error


def _unfit(pipe: Any, use: LoraUse, header: Header | None = None) -> RunFailed:
    base = base_of(header) if header is not None else ""
    model = _family(pipe)
    hint = f"Take a LoRA that was made for {model}."
    if base:
        return RunFailed(
            "invalid_loras",
            f"the LoRA {use.key!r} was made for {base} and does not fit this model, which is {model}",
            hint,
            sentence="lora_unfit",
            lora=use.key,
            base=base,
            model=model,
        )
    return RunFailed(
        "invalid_loras",
        f"the LoRA {use.key!r} does not fit this model, which is {model}",
        hint,
        sentence="lora_unfit_unknown",
        lora=use.key,
        model=model,
    )


def base_of(header: Header) -> str:
    """What a LoRA says that it was made for, "" when it says nothing."""
    data = header.metadata
    return (
        data.get("modelspec.architecture") or data.get("ss_base_model_version") or data.get("ss_sd_model_name", "")
    )[:100]


def _denoiser(pipe: Any) -> Any:
    return getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)


def _family(pipe: Any) -> str:
    denoiser = _denoiser(pipe)
    known = BASES.get(type(denoiser).__name__, type(pipe).__name__)
    if isinstance(known, dict):
        return known.get(denoiser.config.cross_attention_dim, type(pipe).__name__)
    return known


def _parts(pipe: Any) -> dict[str, torch.nn.Module]:
    found = {name: getattr(pipe, name, None) for name in getattr(pipe, "_lora_loadable_modules", ())}
    return {name: part for name, part in found.items() if part is not None}


def _tuned(part: torch.nn.Module, name: str) -> list[Any]:
    return [module for module in part.modules() if isinstance(module, BaseTunerLayer) and name in _tensors(module)]


def _tensors(module: Any) -> dict[str, None]:
    """The names of the adapters of one layer."""
    return {key: None for field in module.adapter_layer_names for key in getattr(module, field, ())}


def _adapter(pipe: Any, name: str) -> Adapter:
    """What was just loaded, brought to the precision of the layers that it stands beside."""
    parts, size = set(), 0
    for part_name, part in _parts(pipe).items():
        dtype = part.dtype  # looks at every tensor of the part
        for module in _tuned(part, name):
            parts.add(part_name)
            for tensors in module.adapter_layer_names:
                layers = getattr(module, tensors, {})
                if name in layers and isinstance(layers[name], torch.nn.Module):
                    layers[name].to(dtype).requires_grad_(False)
                    size += sum(tensor.nbytes for tensor in layers[name].parameters())
    return Adapter(name, frozenset(parts), size)


def _layers(pipe: Any, adapter: Adapter) -> int:
    return sum(len(_tuned(part, adapter.name)) for part in _parts(pipe).values())


def _pairs(header: Header) -> int:
    """How many layers a file changes: each has one matrix down."""
    return sum(name.endswith(("lora_A.weight", "lora_down.weight", "lora.down.weight")) for name in header.tensors)


def _remove(pipe: Any, name: str) -> None:
    for part in _parts(pipe).values():
        _remove_from(part, name)


def _remove_from(part: torch.nn.Module, name: str) -> None:
    for module in _tuned(part, name):
        module.delete_adapter(name)
    config = getattr(part, "peft_config", None)
    if config is not None:
        config.pop(name, None)
        if not config:
            del part.peft_config
            part._hf_peft_config_loaded = False
