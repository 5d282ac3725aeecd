"""What new entries are drawn from: normal values, at the std of a layer's own weights or of its initialisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def normal(size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal values: the same from a generator whatever the net's dtype and device."""
    return torch.randn(tuple(size), generator=generator, device=generator.device, dtype=torch.float32).cpu()


def own_std(weight: Tensor) -> float:
    """Std of a layer's weights; where it is 0 (a gate that is still closed), that of nn.Linear's initialisation."""
    std = float(weight.detach().float().std()) if weight.numel() > 1 else 0.0
    return std if std > 0 and math.isfinite(std) else initial_std(weight)


def initial_std(weight: Tensor) -> float:
    """Std of nn.Linear's initialisation for a weight of this shape."""
    return 1 / math.sqrt(3 * max(1, weight[0].numel()))
