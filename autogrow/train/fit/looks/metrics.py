"""Further metrics of a delivered net, by torchmetrics, for those who ask: `metrics=[balanced_accuracy,auroc]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torchmetrics.functional as tm
from torch import Tensor

from autogrow.errors import ConfigError, nearest

if TYPE_CHECKING:
    from autogrow.data import Prepared

Metric = Callable[[Tensor, Tensor, int], Tensor | None]

# (logits (N, O), classes (N,), O) → a number
CLASSIFICATION: dict[str, Metric] = {
    "accuracy": lambda z, y, o: tm.accuracy(z, y, task="multiclass", num_classes=o),
    "balanced_accuracy": lambda z, y, o: tm.accuracy(z, y, task="multiclass", num_classes=o, average="macro"),
    "f1": lambda z, y, o: tm.f1_score(z, y, task="multiclass", num_classes=o, average="macro"),
    "auroc": lambda z, y, o: tm.auroc(z.softmax(1), y, task="multiclass", num_classes=o),
    "calibration_error": lambda z, y, o: tm.calibration_error(z.softmax(1), y, task="multiclass", num_classes=o),
}
# (predictions (N, O), targets (N, O) in target units, O) → a number
REGRESSION: dict[str, Metric] = {
    "mae": lambda z, y, _: tm.mean_absolute_error(z, y),
    "mse": lambda z, y, _: tm.mean_squared_error(z, y),
    "r2": lambda z, y, _: tm.r2_score(z, y),
}


def check_metrics(names: Sequence[str], task: str) -> None:
    """Raise ConfigError for a metric that does not exist or does not go with the task."""
    known = CLASSIFICATION if task == "classification" else REGRESSION
    for name in names:
        if name not in known:
            other = REGRESSION if task == "classification" else CLASSIFICATION
            kind = "is not for" if name in other else "is unknown for"
            raise ConfigError(f"metrics: {name!r} {kind} a {task} task; {nearest(name, known)}")


def final_metrics(z: Tensor, y: Tensor, prepared: Prepared, names: Sequence[str]) -> dict[str, float]:
    """The named metrics of a net's outputs `z` (N, O) on one split with targets `y`."""
    if prepared.target_scale is not None:
        mean, std = prepared.target_scale
        z, y = z * std + mean, y * std + mean
    known = CLASSIFICATION if prepared.task == "classification" else REGRESSION
    return {name: float(torch.as_tensor(known[name](z, y, prepared.outputs))) for name in names}
