"""Reads what ComfyUI, InvokeAI and Fooocus write into a picture's file, as far as it is a request for one picture.

    ComfyUI    `prompt`: its graph of nodes; what leads to the first sampler tells words, model, LoRAs and size
    InvokeAI   `invokeai_metadata`: an object of settings
    Fooocus    `parameters`, where it is an object and not A1111's text

Each answers with words of `settings.settings_of`: fields of a request, and `model`, `sampler`, `schedule_type`, `loras`
by the names that the program gave them. Files of strangers: nothing here trusts a type, a length or that a graph ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

MAX_JSON = 1_000_000
MAX_NODES, MAX_STEPS = 2000, 64
"""Of a graph, and so far its links are followed."""

Program = Literal["comfyui", "invokeai", "fooocus"]
Told = dict[str, Any]
_PLAIN = (str, int, float)


def told_by(texts: Mapping[str, str]) -> tuple[Program, Told] | None:
    """Which program made this file, and what it says; None where none of these did, or it says nothing."""
    for program, keyword, read in _READERS:
        if (content := _object(texts.get(keyword))) and (told := read(content)) and told.get("steps"):
            return program, told
    return None


def _object(text: str | None) -> dict[str, Any] | None:
    if not text or len(text) > MAX_JSON:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _kept(content: Mapping[str, Any], names: Mapping[str, str]) -> Told:
    """Fields of ours by those of theirs, where they hold a plain value."""
    return {
        ours: content[theirs]
        for ours, theirs in names.items()
        if isinstance(content.get(theirs), _PLAIN) and not isinstance(content[theirs], bool)
    }


def _stem(name: object) -> str:
    """`folder\\model.safetensors` as the model is called here."""
    path = PurePosixPath(str(name)[:300].replace("\\", "/"))
    return path.stem if path.suffix in (".safetensors", ".ckpt", ".pt", ".sft", ".gguf") else path.name


# ── ComfyUI ───────────────────────────────────────────────────────────────────


class _Graph:
    """Nodes by their numbers: `class_type`, and `inputs` that are values or links `[node, output]`."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        self.nodes = {
            key: node for key, node in nodes.items() if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
        }

    def at(self, node: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
        """The node that the input `name` is linked to."""
        link = node["inputs"].get(name) if node else None
        return self.nodes.get(str(link[0])) if isinstance(link, list) and link else None

    def value(self, node: dict[str, Any] | None, *names: str) -> Any:
        """A plain value of one of these inputs, or that of a node which holds nothing else."""
        for name in names if node else ():
            given = node["inputs"].get(name)  # type: ignore[index]
            if isinstance(given, _PLAIN):
                return given
            if (linked := self.at(node, name)) is not None:
                plain = [one for one in linked["inputs"].values() if isinstance(one, _PLAIN)]
                if len(plain) == 1:
                    return plain[0]
        return None

    def upwards(self, node: dict[str, Any] | None, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """A node and all that lead to it through these inputs, the nearest first."""
        waiting, seen = [node], 0
        while waiting and seen < MAX_STEPS:
            one = waiting.pop(0)
            if one is None:
                continue
            seen += 1
            yield one
            waiting += [self.at(one, name) for name in names]


_WORDS = ("conditioning", "positive", "negative", "conditioning_1", "conditioning_2", "text", "base_positive")
_MODELS = ("model", "model1", "base_model", "unet")
_LATENTS = ("latent_image", "samples", "latent")


def _comfyui(nodes: dict[str, Any]) -> Told | None:
    if len(nodes) > MAX_NODES:
        return None
    graph = _Graph(nodes)
    samplers = [node for node in graph.nodes.values() if {"latent_image"} <= node["inputs"].keys()]
    # The first pass starts from an empty picture; a second one from what the first made.
    first = [node for node in samplers if not any(graph.at(one, "latent_image") for one in _before(graph, node))]
    node = next(iter(first or samplers), None)
    if node is None:
        return None
    guider, sigmas = graph.at(node, "guider"), graph.at(node, "sigmas")
    holder = guider or node
    positive = graph.at(holder, "positive") or graph.at(holder, "conditioning")
    told: Told = {
        "seed": graph.value(node, "seed", "noise_seed") or graph.value(graph.at(node, "noise"), "noise_seed"),
        "steps": graph.value(node, "steps") or graph.value(sigmas, "steps"),
        "guidance_scale": graph.value(holder, "cfg"),
        "sampler": graph.value(node, "sampler_name") or graph.value(graph.at(node, "sampler"), "sampler_name"),
        "schedule_type": graph.value(node, "scheduler") or graph.value(sigmas, "scheduler"),
        "prompt": _words(graph, positive),
        "negative_prompt": _words(graph, graph.at(holder, "negative")),
    }
    for one in graph.upwards(positive, _WORDS):
        if one.get("class_type") == "FluxGuidance":
            told["guidance_scale"] = graph.value(one, "guidance")
    for one in _before(graph, node):
        told |= {side: size for side in ("width", "height") if (size := graph.value(one, side))}
    told["loras"] = []
    for one in graph.upwards(graph.at(holder, "model"), _MODELS):
        if name := graph.value(one, "lora_name"):
            weights = {"weight": graph.value(one, "strength_model"), "text_weight": graph.value(one, "strength_clip")}
            told["loras"].append(
                {"model": _stem(name), **{key: value for key, value in weights.items() if value is not None}}
            )
        elif name := graph.value(one, "ckpt_name", "unet_name"):
            told.setdefault("model", _stem(name))
    return {name: value for name, value in told.items() if value is not None}


def _before(graph: _Graph, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the latents of a sampler come from."""
    return graph.upwards(graph.at(node, "latent_image"), _LATENTS)


def _words(graph: _Graph, node: dict[str, Any] | None) -> str:
    for one in graph.upwards(node, _WORDS):
        if one.get("class_type") == "ConditioningZeroOut":
            return ""
        words = graph.value(one, "text", "text_g", "clip_l", "t5xxl", "string", "value", "prompt")
        if isinstance(words, str):
            return words
    return ""


# ── InvokeAI ──────────────────────────────────────────────────────────────────


def _invokeai(content: dict[str, Any]) -> Told:
    names = {"prompt": "positive_prompt", "guidance_scale": "cfg_scale", "clip_skip": "clip_skip"}
    told = _kept(content, names | {name: name for name in ("negative_prompt", "seed", "steps", "width", "height")})
    if isinstance(scheduler := content.get("scheduler"), str):
        told["sampler"] = scheduler.removesuffix("_k")
        told["schedule_type"] = "karras" if scheduler.endswith("_k") else None
    if isinstance(content.get("guidance"), (int, float)):
        told["guidance_scale"] = content["guidance"]
    if name := _name_in(content.get("model")):
        told["model"] = name
    loras = content.get("loras")
    told["loras"] = [
        {"model": name, "weight": one.get("weight", 1.0)}
        for one in (loras if isinstance(loras, list) else [])
        if isinstance(one, dict) and (name := _name_in(one.get("model") or one.get("lora")))
    ]
    return told


def _name_in(model: object) -> str:
    """Of an object that names a model, in the words of any of its versions."""
    named = model if isinstance(model, dict) else {"name": model}
    name = named.get("name") or named.get("model_name")
    return _stem(name) if isinstance(name, str) else ""


# ── Fooocus ───────────────────────────────────────────────────────────────────


def _fooocus(content: dict[str, Any]) -> Told | None:
    if "base_model" not in content:
        return None
    told = _kept(content, {name: name for name in ("prompt", "negative_prompt", "steps", "guidance_scale", "sampler")})
    told |= _kept(content, {"schedule_type": "scheduler"})
    for ours, which in (("prompt", "full_prompt"), ("negative_prompt", "full_negative_prompt")):
        # With its styles: they are what was drawn, and nobody else has them.
        if isinstance(lines := content.get(which), list) and all(isinstance(line, str) for line in lines):
            told[ours] = ", ".join(lines)
    if str(content.get("seed", "")).isdigit():
        told["seed"] = int(content["seed"])
    if (skip := content.get("clip_skip")) and isinstance(skip, int):
        told["clip_skip"] = max(0, skip - 1)
    if size := re.findall(r"\d{2,5}", str(content.get("resolution", ""))[:40]):
        told |= dict(zip(("width", "height"), map(int, size), strict=False))
    told["model"] = _stem(content["base_model"])
    loras = content.get("loras")
    told["loras"] = [
        {"model": _stem(one[0]), "weight": one[1]}
        for one in (loras if isinstance(loras, list) else [])
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[1], (int, float))
    ]
    if isinstance(sampler := told.get("sampler"), str):
        told["sampler"] = sampler.removesuffix("_gpu")
    return told


_READERS: tuple[tuple[Program, str, Callable[[dict[str, Any]], Told | None]], ...] = (
    ("invokeai", "invokeai_metadata", _invokeai),
    ("fooocus", "parameters", _fooocus),
    ("comfyui", "prompt", _comfyui),
)
