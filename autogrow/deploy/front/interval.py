"""How sure an error is: its standard error over validation rows, and a 95 % interval.

N rows, O outputs, t targets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autogrow.data import Prepared, Split
from autogrow.evaluation.evaluate import answers

_Z = 1.959964
"""Standard errors on either side of a 95 % interval."""


@dataclass(frozen=True)
class Sure:
    """`value`: the share of wrong answers, or the rmse in target units. `low`, `high`: its 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


def sure_error(outputs: Tensor, split: Split, prepared: Prepared, threshold: float | None) -> Sure:
    """Error or rmse of a net's outputs (N, O) on a split, with how sure it is."""
    weight = None if split.weight is None else split.weight.double().numpy()
    if prepared.task == "classification":
        wrong = answers(outputs.double().softmax(1).numpy(), threshold) != split.y.numpy()
        return share_of(wrong.astype(float), weight)
    scale = torch.ones(()) if prepared.target_scale is None else prepared.target_scale[1]
    squares = ((outputs.double() - split.y) * scale).square().mean(1).numpy()
    return root_of(squares, weight)


def share_of(wrong: np.ndarray, weight: np.ndarray | None = None) -> Sure:
    """A share of rows (N,), as many as count: Wilson's interval; the standard error is that of Agresti and Coull, which
    no mistake in few rows does not make 0.

    >>> share_of(np.zeros(96)).high, share_of(np.zeros(96)).standard_error > 0
    (0.038..., True)
    """
    weight = np.ones(len(wrong)) if weight is None else weight
    share, n = float(np.average(wrong, weights=weight)), _counting(weight)
    square = _Z**2
    middle = (share * n + square / 2) / (n + square)
    half = _Z / (n + square) * math.sqrt(n * share * (1 - share) + square / 4)
    return Sure(
        share, math.sqrt(middle * (1 - middle) / (n + square)), max(0.0, middle - half), min(1.0, middle + half)
    )


def root_of(squares: np.ndarray, weight: np.ndarray | None = None) -> Sure:
    """The root of a mean of squares (N,), by the delta method."""
    weight = np.ones(len(squares)) if weight is None else weight
    mean = float(np.average(squares, weights=weight))
    deviation = math.sqrt(float(np.average((squares - mean) ** 2, weights=weight)) / _counting(weight))
    root = math.sqrt(mean)
    error = deviation / (2 * root) if root else 0.0
    return Sure(root, error, max(0.0, root - _Z * error), root + _Z * error)


def _counting(weight: np.ndarray) -> float:
    """How many rows of equal weight say as much (Kish)."""
    return float(weight.sum() ** 2 / np.square(weight).sum())
