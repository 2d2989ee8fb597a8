"""Measures the model on prompts it has never seen, and draws the contact sheet.

    python -m embedded.creatures.evaluate embedded/models/creatures --out figures.json --sheet sheet.png

Two measures: the judge (a network trained on drawings) and the dominant colour of the pixels (no learning). An
attribute counts as named when the prompt says it: the colour, the background, a pattern, wings, horns, a tail, an
accessory.
"""

import argparse
import json
import random
import time
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from PIL import Image, ImageDraw

from .captions import PARTS, Traits, plain_caption, sample_traits
from .dataset import PICTURES, captions_of
from .judge import dominant_colour, judge
from .training import one_thread

STEPS, GUIDANCE = 16, 3.0
OTHER_SCHEDULERS = (DDIMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, UniPCMultistepScheduler)
SHOWN = (
    "a red dragon with wings on a blue background",
    "a blue slime on a yellow background",
    "a yellow bird with a hat on a green background",
    "an orange cat with a scarf on a black background",
    "a purple fish on a blue background",
    "a green golem with horns on a grey background",
    "a white ghost with a bow on a black background",
    "a pink octopus with glasses on a blue background",
    "a spotted green dragon with horns and a tail on a yellow background",
    "a striped red cat with a tail on a pink background",
    "a spotted purple slime with horns on a green background",
    "a white bird with wings and glasses on a pink background",
    "a striped orange fish with a halo on a black background",
    "a blue golem with wings and a scarf on a yellow background",
    "a spotted pink ghost with a hat on a grey background",
    "a yellow octopus with a halo on a grey background",
    "a pink dragon with wings on a blue background",
    "an orange slime with horns on a pink background",  # held-out pairs
    "a purple bird with a bow on a yellow background",
    "a blue cat with a tail on a green background",
    "green dragon",
    "a cartoon red octopus wearing a hat",
    "ghost, horns, blue background",
    "a happy white cat with wings",
)


def load(folder: Path) -> DiffusionPipeline:
    pipe = DiffusionPipeline.from_pretrained(folder, use_safetensors=True, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(pipe, prompts: list[str], seed: int, steps: int = STEPS, guidance: float = GUIDANCE) -> list[Image.Image]:
    """Picture i comes from seed + i, whatever the batch."""
    pictures = []
    for start in range(0, len(prompts), 8):
        some = prompts[start : start + 8]
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(some))]
        pictures += pipe(some, num_inference_steps=steps, guidance_scale=guidance, generator=generators).images
    return pictures


def unseen(count: int, held_out: bool) -> list[Traits]:
    """Creatures whose sentence is in no training caption."""
    known = {text for i in range(PICTURES) for text in captions_of(i)}
    rng, chosen, said = random.Random(20_000 + held_out), [], set()
    while len(chosen) < count:
        traits = sample_traits(rng, held_out)
        sentence = plain_caption(traits)
        if sentence not in known and sentence not in said:
            chosen.append(traits)
            said.add(sentence)
    return chosen


def named(traits: Traits) -> dict:
    """What the plain caption names besides the species."""
    says = {"colour": traits.colour, "background": traits.background}
    says |= {part: True for part in PARTS if getattr(traits, part)}
    if traits.pattern != "plain":
        says["pattern"] = traits.pattern
    if traits.accessory != "none":
        says["accessory"] = traits.accessory
    return says


def score(pictures: list[Image.Image], wanted: list[Traits]) -> dict[str, float]:
    """Shares in [0, 1]. `<name>` is right among the prompts that name it; `not asked` is how often something came
    that nobody asked for."""
    verdicts, n = judge(pictures), len(wanted)
    hits: dict[str, list[bool]] = {}
    everything, extras = [], []
    for traits, verdict in zip(wanted, verdicts, strict=True):
        right = {name: verdict[name] == value for name, value in named(traits).items()}
        for name, ok in right.items():
            hits.setdefault(
                f"accessory {traits.accessory}"
                if name == "accessory"
                else f"pattern {traits.pattern}"
                if name == "pattern"
                else name,
                [],
            ).append(ok)
        everything.append(verdict["species"] == traits.species and all(right.values()))
        extras += [verdict[part] for part in PARTS if not getattr(traits, part)]
        extras += [verdict["accessory"] != "none"] if traits.accessory == "none" else []
    pixels = [dominant_colour(p) == t.colour for p, t in zip(pictures, wanted, strict=True)]
    both = [v["species"] == t.species and v["colour"] == t.colour for v, t in zip(verdicts, wanted, strict=True)]
    result = {
        "species": sum(v["species"] == t.species for v, t in zip(verdicts, wanted, strict=True)) / n,
        "species and colour": sum(both) / n,
        "colour by pixels": sum(pixels) / n,
        "everything named": sum(everything) / n,
        "not asked": sum(extras) / max(1, len(extras)),
    } | {name: sum(oks) / len(oks) for name, oks in sorted(hits.items())}
    return {name: round(share, 3) for name, share in result.items()}


def sheet(
    pictures: list[Image.Image], prompts: tuple[str, ...] | list[str], columns: int = 8, side: int = 160
) -> Image.Image:
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (side + 8), rows * (side + 40)), "white")
    pen = ImageDraw.Draw(page)
    for i, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = i % columns * (side + 8) + 4, i // columns * (side + 40) + 4
        page.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y))
        words, line, lines = prompt.split(), "", []
        for word in words:
            if len(line) + len(word) > side // 6:
                lines, line = [*lines, line], ""
            line = f"{line} {word}".strip()
        for k, text in enumerate([*lines, line]):
            pen.text((x, y + side + 1 + 11 * k), text, fill="black", font_size=10)
    return page


def seconds_per_picture(pipe, steps: int = STEPS) -> float:
    """One picture at a time, on this process's one thread."""
    generate(pipe, [SHOWN[0]], 0, steps)
    start = time.process_time()
    for i in range(3):
        generate(pipe, [SHOWN[i]], i, steps)
    return (time.process_time() - start) / 3


def schedulers(pipe, count: int = 16) -> dict[str, dict[str, float]]:
    """Species and colour with schedulers made from the shipped one's config."""
    shipped, wanted, result = pipe.scheduler, unseen(count, False), {}
    for kind in OTHER_SCHEDULERS:
        pipe.scheduler = kind.from_config(shipped.config)
        scores = score(generate(pipe, [plain_caption(t) for t in wanted], 7_000), wanted)
        result[kind.__name__] = {k: scores[k] for k in ("species and colour", "colour by pixels", "everything named")}
        print(kind.__name__, result[kind.__name__], flush=True)
    pipe.scheduler = shipped
    return result


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model", type=Path)
    args.add_argument("--out", type=Path)
    args.add_argument("--sheet", type=Path)
    args.add_argument("--count", type=int, default=200)
    args.add_argument("--held-out", type=int, default=64)
    args.add_argument("--steps", type=int, default=STEPS)
    args.add_argument("--guidance", type=float, default=GUIDANCE)
    args.add_argument("--schedulers", action="store_true")
    given = args.parse_args()
    one_thread()
    pipe, figures = load(given.model), {"steps": given.steps, "guidance": given.guidance}
    if given.sheet:
        sheet(generate(pipe, list(SHOWN), 0, given.steps, given.guidance), SHOWN).save(given.sheet, optimize=True)
    figures["seconds per picture"] = round(seconds_per_picture(pipe, given.steps), 2)
    for name, count, held_out in (("unseen prompts", given.count, False), ("held-out pairs", given.held_out, True)):
        if count:
            wanted = unseen(count, held_out)
            pictures = generate(pipe, [plain_caption(t) for t in wanted], 5_000, given.steps, given.guidance)
            figures[f"{count} {name}"] = score(pictures, wanted)
            print(name, figures[f"{count} {name}"], flush=True)
    if given.schedulers:
        figures["16 prompts, other schedulers"] = schedulers(pipe)
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
