"""Muon for the hidden matrices and AdamW for everything else, as one optimizer.

A hidden matrix moves along its momentum made orthogonal, so that every direction of it learns at the same speed
(Jordan et al. 2024, kellerjordan.github.io/posts/muon), at AdamW's rate (Liu et al. 2025, arXiv 2502.16982, section
2.2). What that takes is counted: see `orthogonal_flops`.

M members, m the smaller and n the larger side of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.train.fit.net.optimizers import AdamW

STEPS = 5  # Newton–Schulz steps; Jordan et al.'s
_SLOPE, _CUBE, _FIFTH = 3.4445, -4.7750, 2.0315  # their coefficients: the steepest slope at 0
_HALF_FROM = 128  # units from which 16 bits are faster than 32 (2.5 times at 168); the steps forgive the rounding
_LEAST = 1e-7  # a norm is at least that


def orthogonalized(matrix: Tensor) -> Tensor:
    """([M,] a, b): the nearest matrix whose singular values are all about 1 (0.7 to 1.2), by Newton–Schulz steps."""
    tall = matrix.shape[-2] > matrix.shape[-1]
    x: Tensor = matrix.mT if tall else matrix
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=_LEAST)
    if min(matrix.shape[-2:]) >= _HALF_FROM:
        x = x.bfloat16()
    for _ in range(STEPS):
        gram = x @ x.mT
        x = _SLOPE * x + (_CUBE * gram + _FIFTH * (gram @ gram)) @ x
    return (x.mT if tall else x).to(matrix.dtype)


def orthogonal_flops(shape: Iterable[int]) -> int:
    """FLOPs of `orthogonalized` for a matrix of this shape, 2 per multiply-add: two products m·m·n and one m·m·m each
    step.

    >>> orthogonal_flops((2, 3))
    320
    """
    *members, a, b = shape
    m, n = sorted((a, b))
    return math.prod(members) * STEPS * (4 * m * m * n + 2 * m * m * m)


class Muon(AdamW):
    """AdamW whose groups with `orthogonal` move along their momentum made orthogonal.

    State of those: `momentum_buffer`, a sum of gradients, which follows a growth as SGD's does.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, momentum: float = 0.95, **adamw: Any) -> None:
        super().__init__([{"orthogonal": False, "momentum": momentum, **group} for group in groups], **adamw)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every group."""
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if not group["orthogonal"]]
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["orthogonal"]:
                for parameter in group["params"]:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        if parameter.grad is None:
            return
        state, momentum = self.state[parameter], group["momentum"]
        if not state:
            state["step"] = torch.zeros(())  # AdamW looks for it in every state that it loads
            state["momentum_buffer"] = torch.zeros_like(parameter)
        state["step"] += 1
        state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        direction = orthogonalized(parameter.grad.lerp(state["momentum_buffer"], momentum))  # Nesterov's
        # an entry moves by 0.2 times the rate on average, as AdamW's do
        reach = 0.2 * math.sqrt(max(parameter.shape[-2:]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"] * reach)
