"""One function measures both splits: the same net, the same loss.

N rows, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 4096  # rows per forward pass: large enough to be fast, small enough for any net of ours to fit in memory


@dataclass(frozen=True)
class Measured:
    """What one look at a split says: mean loss per sample, error (fraction wrong, or rmse in target units), and score.

    `score` is the loss, for classification optionally at the temperature that suits it best.
    """

    loss: float
    error: float
    score: float
    rows: int
    judged: float | None = None
    """Distance from the best value of the metric that the run is judged by; None where it has none of its own."""


NOT_MEASURED = Measured(math.nan, math.nan, math.nan, 0)
"""Of a split that nothing is measured on."""


def outputs_of(predict: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(N, *shape) → (N, O), in chunks."""
    if len(x) <= CHUNK:
        return predict(x)
    return torch.cat([predict(chunk) for chunk in x.split(CHUNK)])


def sample_loss(task: str, z: Tensor, y: Tensor, *, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
    """Mean loss per sample: cross entropy of logits, or mean squared error in standardised target units.

    weight: how much each sample counts (N,), with a mean of 1 over all rows that may be drawn.
    """
    if weight is None:
        if task == "classification":
            return F.cross_entropy(z, y, label_smoothing=smoothing)
        return F.mse_loss(z, y)
    if task == "classification":
        return (F.cross_entropy(z, y, label_smoothing=smoothing, reduction="none") * weight).mean()
    return ((z - y).square().mean(1) * weight).mean()


def measure_outputs(
    z: Tensor,
    y: Tensor,
    *,
    task: str,
    target_std: Tensor | None = None,
    temperature: bool = False,
    weight: Tensor | None = None,
) -> Measured:
    """What outputs `z` (N, O) of one split say.

    `y` holds classes (N,) or standardised targets (N, O); `target_std` (O,) turns their rmse into target units;
    `weight` (N,), with a mean of 1, says how much each row counts.
    """
    loss = sample_loss(task, z, y, weight=weight).item()
    counts = 1.0 if weight is None else weight
    if task == "classification":
        error = ((z.argmax(1) != y).float() * counts).mean().item()
        score = best_temperature_loss(z, y, weight) if temperature else loss
    else:
        scale = 1.0 if target_std is None else target_std.to(z.device)
        squares = ((z - y) * scale).square()
        error = (squares if weight is None else squares * weight[:, None]).mean().sqrt().item()
        score = loss
    return Measured(loss, error, score, len(z))


def best_temperature_loss(z: Tensor, y: Tensor, weight: Tensor | None = None) -> float:
    """Cross entropy of logits `z` (N, O) at the one temperature that makes it least:
    never above that at temperature 1.
    """
    factor = best_inverse_temperature(z, y, weight)
    return sample_loss("classification", z * factor, y, weight=weight).item()


def best_inverse_temperature(z: Tensor, y: Tensor, weight: Tensor | None = None, *, steps: int = 8) -> float:
    """The factor on logits `z` (N, O) that makes their cross entropy least; 1 where none of those tried is better.

    Newton's method, in the inverse temperature, in which the loss is convex (Guo et al. 2017, arXiv 1706.04599, §4.2).
    """
    counts = 1.0 if weight is None else weight
    picked = (z.gather(1, y[:, None]).squeeze(1) * counts).mean()
    inverse = torch.ones((), device=z.device)
    for _ in range(steps):
        p = torch.softmax(z * inverse, 1)
        mean = (p * z).sum(1)
        curvature = (((p * z.square()).sum(1) - mean.square()) * counts).mean()
        inverse = (inverse - ((mean * counts).mean() - picked) / curvature.clamp(min=1e-6)).clamp(0.05, 20.0)
    task = "classification"
    better = sample_loss(task, z * inverse, y, weight=weight) < sample_loss(task, z, y, weight=weight)
    return inverse.item() if better else 1.0
