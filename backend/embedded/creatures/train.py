"""Trains all of `creatures` again, from nothing: the one command.

    cd backend && python -m embedded.creatures.train --out /tmp/creatures

draws the data, trains the autoencoder, the denoiser (twice: see its second stage), the large autoencoder and the judge
one after another on one thread, and leaves a diffusers folder in /tmp/creatures/model. Budgets are in CPU seconds and
add up to an hour and a half, the drawing to four minutes more; `--scale 0.02` runs the same path in minutes, to see
that it works. Seeds are fixed, but a budget in seconds stops at a different step on a different machine, so the weights
will be like the shipped ones, not the same bytes.
"""

import argparse
from pathlib import Path

from . import autoencoder, dataset, denoiser, judge
from .training import one_thread

SECONDS = {"small": 590, "denoiser": 2300, "favoured": 1300, "large": 750, "judge": 150}


def train(out: Path, scale: float) -> None:
    for size in (64, 256):
        if not (out / f"doodles{size}.npy").exists():
            dataset.write(out, size)
    autoencoder.train_small(out, out / "vae64", scale * SECONDS["small"])
    denoiser.train(out, out / "vae64", out / "denoiser", scale * SECONDS["denoiser"])
    denoiser.train(
        out,
        out / "vae64",
        out / "favoured",
        scale * SECONDS["favoured"],
        start=out / "denoiser",
        peak=denoiser.SECOND_PEAK,
        favour=denoiser.FAVOUR,
    )
    autoencoder.train_large(out, out / "vae64", out / "vae256", scale * SECONDS["large"])
    judge.train(out, out / "judge", scale * SECONDS["judge"])
    denoiser.export(out / "favoured", out / "vae256", out / "model")


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--scale", type=float, default=1.0)
    given = args.parse_args()
    one_thread()
    train(given.out, given.scale)


if __name__ == "__main__":
    main()
