"""What the training loops share: a budget in CPU seconds, a learning rate, and a moving average of the weights."""

import math
import os
import time
from collections.abc import Iterator

import torch


def one_thread() -> None:
    """Two threads of one process on two busy cores wait for each other more than they work."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def steps(
    cpu_seconds: float, report: str, losses: list[float], every: int = 100, wall_seconds: float = math.inf
) -> Iterator[tuple[int, float]]:
    """Counts steps until the budget is spent: yields (step, fraction of the budget in [0, 1)).

    The caller appends to `losses`; every hundred steps their mean is printed. On a busy machine `wall_seconds` ends
    it earlier, and the learning rate, which follows the fraction, still comes down to its floor.
    """
    start, begun, i = time.process_time(), time.time(), 0
    while (fraction := max((time.process_time() - start) / cpu_seconds, (time.time() - begun) / wall_seconds)) < 1:
        yield i, fraction
        i += 1
        if i % every == 0:
            mean = sum(losses[-every:]) / len(losses[-every:])
            print(
                f"{report} step {i} {fraction:.3f} loss {mean:.4f} cpu {time.process_time() - start:.0f} s", flush=True
            )


def set_rate(
    optimiser: torch.optim.Optimizer,
    peak: float,
    step: int,
    fraction: float,
    flat: float = 0.0,
    warmup: int = 100,
    floor: float = 0.02,
) -> None:
    """Linear warm-up, `flat` of the budget at the peak, then a cosine down to `floor` of the peak."""
    fall = max(0.0, fraction - flat) / (1 - flat)
    rate = peak * min(1.0, (step + 1) / warmup) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fall)))
    for group in optimiser.param_groups:
        group["lr"] = rate


class Average:
    """Exponential moving average of parameters; its first steps weigh more, so that it never holds the start."""

    def __init__(self, parameters, decay: float):
        self.live, self.decay, self.count = list(parameters), decay, 0
        self.kept = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def step(self) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.kept, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the live weights and the averaged ones; twice is nothing."""
        for p, q in zip(self.live, self.kept, strict=True):
            held = p.detach().clone()
            p.copy_(q)
            q.copy_(held)
