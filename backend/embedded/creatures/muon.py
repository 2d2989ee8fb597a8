"""Muon: momentum whose matrices are orthogonalised before they are applied.

After Keller Jordan's description (https://kellerjordan.github.io/posts/muon/): the update of a weight matrix is
replaced by the nearest matrix whose singular values are near one, found by five Newton-Schulz steps. A convolution
counts as the matrix (out, in * height * width).
"""

import torch


@torch.no_grad()
def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """(rows, columns) to about U V^T of its singular value decomposition."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions; the step has the size an Adam step of rate 0.2 `lr` would have."""

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                blend = weight.grad.lerp(state["momentum"], group["momentum"])
                update = orthogonalise(blend.reshape(len(blend), -1))
                scale = 0.2 * max(update.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view(weight.shape), alpha=-group["lr"] * scale)
