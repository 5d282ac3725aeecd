"""What a run may be judged by (`metric=`): which metrics there are for which task, how far a net is from the best
value of one, and the threshold on a probability that suits one best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autogrow.errors import ConfigError, nearest
from autogrow.evaluation.evaluate import HALF, evaluate
from autogrow.evaluation.ranking import Ranking

AUTO = "auto"
"""The loss leads; of nets that the finish puts side by side the one with the least error, then the least loss."""

OF_CLASSES = ("log_loss", "error", "balanced_accuracy", "f1", "auroc", "average_precision")
OF_VALUES = ("rmse", "mae", "r2")
MORE_IS_BETTER = ("balanced_accuracy", "f1", "auroc", "average_precision", "r2")
"""Their best value is 1; the best of the others is 0."""

BY_ANSWERS = ("error", "balanced_accuracy", "f1")
"""Read off the answers, so that they depend on where the threshold is; the others are read off the probabilities."""

NEEDS_TWO = ("auroc", "average_precision", "f1", "balanced_accuracy")
"""Say nothing where all rows are of one class."""


def check_metric(name: str, task: str, y: np.ndarray) -> None:
    """Raise ConfigError for a metric that does not exist, does not go with the task,
    or that the validation rows that count, `y`, do not define.
    """
    if name == AUTO:
        return
    known, other = (OF_CLASSES, OF_VALUES) if task == "classification" else (OF_VALUES, OF_CLASSES)
    if name not in known:
        kind = "is not for" if name in other else "is unknown for"
        raise ConfigError(f"metric={name} {kind} a {task} task; {nearest(name, (AUTO, *known))}")
    if name in NEEDS_TWO and len(np.unique(y)) < 2:
        raise ConfigError(f"metric={name} needs rows of at least two classes in validation, all of which are of one")
    if name == "r2" and len(y) < 2:
        raise ConfigError("metric=r2 needs at least two rows in validation, got one")


def distance(
    name: str, task: str, labels: list[Any], outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """How far from the best value of a metric: itself, or 1 less it where more is better. Less is better.

    Of two classes, a metric that is read off answers is taken at the threshold that suits it best. Shapes as in
    `evaluate`.
    """
    if len(labels) == 2 and name in BY_ANSWERS:
        return best_threshold(name, outputs[:, 1], y, weights)[1]
    return distance_of(name, evaluate(task, labels, outputs, y, weights=weights))


def value_of(name: str, far: float) -> float:
    """The metric's own value at a distance from its best.

    >>> value_of("auroc", 0.25), value_of("rmse", 0.25)
    (0.75, 0.25)
    """
    return 1 - far if name in MORE_IS_BETTER else far


def distance_of(name: str, found: Mapping[str, Any]) -> float:
    """The same, read off what `evaluate` found."""
    return value_of(name, float(found[name]))  # the way there is the way back


def best_threshold(name: str, p: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The threshold on the second class's probability `p` (N,) that suits a metric best, and the distance there.

    One half wherever that is as good as any; else the middle between the two neighbouring probabilities, of equally
    good places the one nearest to one half. `y` (N,): 0 or 1, both occur.
    """
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    false, true, cuts = Ranking.of(y == 1, p, weights).roc(corners=False)
    lower, upper = np.append(cuts[1:], 0.0), np.append(1.0, cuts[1:])  # answers are the same between the two
    places = np.where((lower < HALF) & (upper >= HALF), HALF, (lower + upper) / 2)
    usable = (places > lower) & (places <= upper)  # above a probability of 1 there is no place
    positive = weights[y == 1].sum()
    negative = weights.sum() - positive
    missed, wrong, found = positive * (1 - true), negative * false, positive * true
    distances = {
        "error": (missed + wrong) / (positive + negative),
        "balanced_accuracy": 1 - (true + 1 - false) / 2,
        "f1": 1 - 2 * found / (2 * found + missed + wrong),
    }[name]
    distances = np.where(usable, distances, np.inf).round(12)  # what differs in the last bits is the same
    at = min(np.flatnonzero(distances == distances.min()), key=lambda i: abs(places[i] - HALF))
    return float(places[at]), float(distances[at])
