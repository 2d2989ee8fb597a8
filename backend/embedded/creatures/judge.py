"""Looks at a picture and says what it shows: a small network, and a measure of colour that learns nothing.

The network is trained on drawings alone (held-out pairs of species and colour included: it judges, it does not
generate), blurred and noised so that it forgives a generator's softness. Needs torch, numpy, pillow and safetensors.

    python -m embedded.creatures.judge --data D --out embedded/models/creatures-judge --cpu-seconds 240
"""

import argparse
import random
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from .captions import ACCESSORIES, BACKGROUNDS, COLOURS, PATTERNS, SPECIES, Traits, sample_traits
from .dataset import traits_of
from .drawing import CONCEPTS, draw
from .training import one_thread, set_rate, steps

WEIGHTS = Path(__file__).parent.parent / "models" / "creatures-judge" / "model.safetensors"
SIZE = 64
NO_YES = (False, True)
HEADS = {
    "species": SPECIES,
    "colour": tuple(COLOURS),
    "background": tuple(BACKGROUNDS),
    "wings": NO_YES,
    "horns": NO_YES,
    "tail": NO_YES,
    "pattern": PATTERNS,
    "accessory": ACCESSORIES,
    "concept": ("none", *CONCEPTS),
}


class Judge(nn.Sequential):
    """(n, 3, 64, 64) in -1..1 to the concatenated logits of HEADS."""

    def __init__(self):
        def stage(i: int, o: int, stride: int = 2) -> list[nn.Module]:
            return [nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU()]

        super().__init__(
            *stage(3, 24),
            *stage(24, 48),
            *stage(48, 48, 1),
            *stage(48, 96),
            *stage(96, 128),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(128 * 16, sum(map(len, HEADS.values()))),
        )

    def heads(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(HEADS, self(pixels).split([len(v) for v in HEADS.values()], dim=1), strict=True))


def to_pixels(images: list[Image.Image]) -> torch.Tensor:
    small = [np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)) for image in images]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1


@lru_cache(maxsize=1)
def _trained() -> Judge:
    network = Judge()
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(WEIGHTS).items()})
    return network.eval()


@torch.no_grad()
def judge(images: list[Image.Image]) -> list[dict]:
    """What each picture shows: a value of HEADS for each of its keys."""
    heads = _trained().heads(to_pixels(images))
    return [{name: HEADS[name][logits[i].argmax()] for name, logits in heads.items()} for i in range(len(images))]


def _hue_names(rgb: np.ndarray) -> np.ndarray:
    """(n, 3) in 0..255 to the name of each pixel's colour, '' for shadow and ink."""
    top, low = rgb.max(1), rgb.min(1)
    spread = top - low + 1e-6
    r, g, b = rgb.T
    hue = np.select([top == r, top == g], [(g - b) / spread % 6, (b - r) / spread + 2], (r - g) / spread + 4) * 60
    saturation = spread / (top + 1e-6)
    names = np.select(
        [hue < 11, hue < 37, hue < 64, hue < 190, hue < 246, hue < 296, (hue < 345) | (saturation < 0.45)],
        ["red", "orange", "yellow", "green", "blue", "purple", "pink"],
        "red",
    ).astype("<U8")
    names[saturation < 0.17] = "white"
    names[top < 85] = ""
    names[(saturation < 0.17) & (top < 130)] = ""
    return names


def dominant_colour(image: Image.Image) -> str | None:
    """The name in COLOURS of most pixels in the middle that are not the background's; None if the picture is empty.

    Plain pixel counting, no learning: the background is the median of the upper left and right rims.
    """
    pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)).astype(float)
    rim = np.concatenate([pixels[2:30, :4].reshape(-1, 3), pixels[2:30, -4:].reshape(-1, 3)])
    middle = pixels[16:58, 18:46].reshape(-1, 3)
    body = middle[np.abs(middle - np.median(rim, 0)).max(1) > 40]
    names = _hue_names(body)
    counts = {name: int((names == name).sum()) for name in COLOURS}
    best = max(counts, key=counts.get)
    return best if counts[best] >= 25 else None


def _target(traits: Traits, concept: str = "none") -> list[int]:
    truth = {**asdict(traits), "concept": concept}
    return [values.index(truth[name]) for name, values in HEADS.items()]


def _lessons(data: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The training pictures, and 4,500 more: held-out pairs and the two concepts."""
    known = np.load(data / "pictures64.npy")
    pictures, targets = [], [_target(traits_of(i)) for i in range(len(known))]
    for i in range(4500):
        rng = random.Random(77_000_027 + i)
        concept = (None, None, *CONCEPTS)[i % 4]
        traits = sample_traits(rng, held_out=i % 4 == 0 or rng.random() < 0.2)
        if concept == "crown" and traits.accessory in ("hat", "halo"):
            traits = Traits(**{**asdict(traits), "accessory": "none"})
        pictures.append(np.asarray(draw(traits, 77_000_027 + i, SIZE, concept)))
        targets.append(_target(traits, concept or "none"))
    return torch.from_numpy(np.concatenate([known, np.stack(pictures)])), torch.tensor(targets)


def train(data: Path, out: Path, cpu_seconds: float) -> None:
    torch.manual_seed(0)
    pictures, targets = _lessons(data)
    shuffled = torch.randperm(len(pictures))
    test, lessons = shuffled[:1000], shuffled[1000:]
    network, losses = Judge().to(memory_format=torch.channels_last), []
    optimiser = torch.optim.AdamW(network.parameters(), lr=1.0, weight_decay=0.02, foreach=True)

    def batch(index):
        return pictures[index].permute(0, 3, 1, 2).float() / 127.5 - 1

    for step, fraction in steps(cpu_seconds, "judge", losses):
        set_rate(optimiser, 2e-3, step, fraction)
        index = lessons[torch.randint(len(lessons), (64,))]
        x = batch(index)
        if step % 2:
            x = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)
        x = x + torch.rand(()) * 0.12 * torch.randn_like(x)
        loss = sum(
            functional.cross_entropy(logits, targets[index, k]) for k, logits in enumerate(network.heads(x).values())
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        right = {
            name: (
                torch.cat([network.heads(batch(some))[name].argmax(1) for some in test.split(100)]) == targets[test, k]
            )
            .float()
            .mean()
            .item()
            for k, name in enumerate(HEADS)
        }
    print("judge on 1,000 unseen drawings:", {name: round(share, 3) for name, share in right.items()}, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.half().contiguous() if v.is_floating_point() else v for k, v in network.state_dict().items()},
        out / "model.safetensors",
    )


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--out", type=Path, default=WEIGHTS.parent)
    args.add_argument("--cpu-seconds", type=float, default=240)
    given = args.parse_args()
    one_thread()
    train(given.data, given.out, given.cpu_seconds)


if __name__ == "__main__":
    main()
