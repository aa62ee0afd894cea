"""Muon: momentum whose matrices are made orthogonal, so that every direction of a weight learns at the same pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, optim

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Factors of x, x^3 and x^5: steepest at 0, so that five rounds take every singular value from 0.01 up to about 1."""
ROUNDS = 5
FEWEST_CHANNELS = 8
"""A weight from or to fewer channels is changed as vectors are: the first and the last convolution, depthwise ones."""
ADAM_SIZE = 0.2
"""Root mean square of an update of Adam, as a share of its rate; ours have the same, so that rates mean the same."""


class Muon(optim.Optimizer):
    """Orthogonalised momentum for matrices, Adam for all else.

    A convolution's weight is taken as a matrix: output channels by all that one of them looks at.

    Args:
        groups: of parameters, each with its `weight_decay`, which is decoupled as in AdamW.
        lr: of both, see `ADAM_SIZE`.
        momentum: Nesterov's, of the matrices.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the size of updates: Liu et al. 2025,
    arXiv:2502.16982, eq. 4. Differs: the rounds are done on the small Gram matrix, see `orthogonal`.
    """

    def __init__(self, groups: Any, lr: float, momentum: float = 0.95) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": (0.9, 0.999), "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the weights once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    change = self._turn if is_matrix(weight) else self._adapt
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(change(weight.grad, self.state[weight], group), alpha=group["lr"])
        return loss

    def _turn(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """Return an orthogonal update as large as Adam's."""
        moving = _kept(state, "first", gradient).lerp_(gradient, 1 - group["momentum"])
        matrix = orthogonal(gradient.lerp(moving, group["momentum"]).flatten(1))
        return matrix.view_as(gradient).mul_(ADAM_SIZE * max(matrix.shape) ** 0.5)

    def _adapt(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        """Return Adam's update."""
        first, second = group["betas"]
        state["step"] = step = state.get("step", 0) + 1
        mean = _kept(state, "first", gradient).lerp_(gradient, 1 - first)
        square = _kept(state, "second", gradient).lerp_(gradient.square(), 1 - second)
        return mean / (1 - first**step) / ((square / (1 - second**step)).sqrt() + 1e-8)


def _kept(state: dict[str, Any], name: str, like: Tensor) -> Tensor:
    """Return a tensor of the state; at first it is zero."""
    if name not in state:
        state[name] = torch.zeros_like(like)
    found: Tensor = state[name]
    return found


def is_matrix(weight: Tensor) -> bool:
    """Say whether a weight maps many channels to many.

    >>> is_matrix(torch.zeros(64, 32, 3, 3)), is_matrix(torch.zeros(64, 1, 3, 3)), is_matrix(torch.zeros(64))
    (True, False, False)
    """
    return weight.ndim > 1 and min(weight.shape[:2]) >= FEWEST_CHANNELS


def orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Move all singular values near 1 and keep the directions.

    All rounds multiply from the left by polynomials of the same Gram matrix, so they are done on that one, which has
    as many rows as the shorter side; the long side is touched twice only.

    >>> values = torch.linalg.svdvals(orthogonal(torch.diag(torch.tensor([9.0, 1.0, 0.3]))))
    >>> bool((values > 0.6).all() and (values < 1.3).all())
    True
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonal(matrix.T).T
    first, third, fifth = NEWTON_SCHULZ
    unit = matrix / matrix.norm().clamp(min=1e-12)
    gram = unit @ unit.T
    product = one = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(ROUNDS):
        factor = first * one + third * gram + fifth * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ unit
