"""Learning curves of runs, and what it cost to reach a validation loss: never reached stays never reached."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.compare.read.runs import Run
from autogrow.errors import ConfigError

POINTS = 200
FIXED = ("small_fixed", "fixed_128", "fixed_256", "big_fixed")
"""Arms whose net somebody chose beforehand: the target is theirs, not that of what is to be judged."""


def lowest_val_loss(run: Run) -> float:
    """The lowest validation loss of its checks, or of the trials of a search."""
    losses = [t.get("val_loss") for t in run.trials] or [row.val_loss for row in run.rows]
    return min((x for x in losses if x is not None and math.isfinite(x)), default=math.inf)


def target_of(arms: Mapping[str, Sequence[Run]], given: float | None) -> dict[str, Any]:
    """The validation loss to reach, and the rule that it comes from."""
    if given is not None:
        return {"val_loss": given, "rule": "as given"}
    fixed = {name: runs for name, runs in arms.items() if name in FIXED} or dict(arms)
    lowest = {name: [lowest_val_loss(run) for run in runs] for name, runs in fixed.items()}
    best = min(lowest, key=lambda name: math.fsum(lowest[name]) / len(lowest[name]))
    reached = max(lowest[best])
    if not math.isfinite(reached):
        raise ConfigError(f"no arm has a finite validation loss at every seed (best: {best})")
    kind = "of a fixed size " if best in FIXED else ""
    return {"val_loss": reached, "rule": f"the validation loss that every seed of the best arm {kind}reached ({best})"}


def cost_to_target(run: Run, target: float) -> tuple[float | None, float | None]:
    """Training FLOPs and seconds up to the first check (of a search:
    trial) with a validation loss of at most `target`; None: not reached.
    """
    for point in _points(run):
        if point["val_loss"] is not None and point["val_loss"] <= target:
            return point["train_flops"], point["seconds"]
    return None, None


def curve(run: Run) -> dict[str, Any]:
    """A run's checks as columns, at most `POINTS` of them, the first and the last among them."""
    points = _points(run)
    if len(points) > POINTS:
        points = [points[round(i * (len(points) - 1) / (POINTS - 1))] for i in range(POINTS)]
    return {"seed": run.seed, **{key: [point[key] for point in points] for key in points[0]}}


def _points(run: Run) -> list[dict[str, Any]]:
    """What was known after each check, or of a search after each trial:
    what it had spent, and the best trial so far.
    """
    if run.trials:
        spent = itertools.accumulate(
            run.trials, _spent, initial={"train_flops": 0, "seconds": 0.0, "val_loss": math.inf}
        )
        return [_trial_point(number, point) for number, point in enumerate(spent) if number]
    return [
        {
            "train_flops": row.train_flops,
            "seconds": row.timing.get("seconds"),
            "passes": row.passes,
            "val_loss": _finite(row.val_loss),
            "val_error": _finite(row.val_error),
            "widths": list(row.widths.values()),
            "parameters": row.parameters,
        }
        for row in run.rows
    ]


def _spent(so_far: Mapping[str, Any], trial: Mapping[str, Any]) -> dict[str, Any]:
    loss = trial.get("val_loss")
    better = loss is not None and math.isfinite(loss) and loss < so_far["val_loss"]
    return {
        **(trial if better else so_far),
        "train_flops": so_far["train_flops"] + (trial.get("train_flops") or 0),
        "seconds": so_far["seconds"] + (trial.get("seconds") or 0.0),
    }


def _trial_point(number: int, point: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "train_flops": point["train_flops"],
        "seconds": point["seconds"],
        "passes": number,  # trials
        "val_loss": _finite(point["val_loss"]),
        "val_error": point.get("val_error", point.get("val_rmse")),
        "widths": list(point.get("widths") or []),
        "parameters": point.get("parameters"),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
