"""What a search may minimise or maximise: figures of a run's `result.json`, never one of the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.errors import ConfigError, nearest

_OF_THE_RUN = ("train_flops", "eval_flops", "flops_per_sample", "parameters", "seconds", "epochs", "depth")
_OF_VALIDATION = ("val_error", "val_rmse", "val_loss")
OBJECTIVES = (*_OF_VALIDATION, *_OF_THE_RUN)
DIRECTIONS = ("minimize", "maximize")


def check_objectives(objectives: Sequence[str], directions: Sequence[str]) -> None:
    """Raise ConfigError for an objective that does not exist or reads the test set,
    and for directions that do not fit.
    """
    if not objectives:
        raise ConfigError(f"hydra.sweeper.objectives is empty; {nearest('', OBJECTIVES)}")
    for name in objectives:
        if name.startswith("test"):
            raise ConfigError(
                f"hydra.sweeper.objectives: {name!r} is of the test set, which is read once and chooses nothing;"
                f" use {name.replace('test', 'val', 1)!r}"
            )
        if name not in OBJECTIVES and not name.startswith("val_"):  # val_: a further metric of `metrics=[…]`
            raise ConfigError(f"hydra.sweeper.objectives: {name!r} does not exist; {nearest(name, OBJECTIVES)}")
    if len(set(objectives)) < len(objectives):
        raise ConfigError(f"hydra.sweeper.objectives names one twice: {', '.join(objectives)}")
    if len(directions) != len(objectives):
        raise ConfigError(
            f"hydra.sweeper.directions needs one for each objective ({len(objectives)}), got {len(directions)}"
        )
    for word in directions:
        if word not in DIRECTIONS:
            raise ConfigError(f"hydra.sweeper.directions: {word!r} does not exist; {nearest(word, DIRECTIONS)}")


def values_of(result: Mapping[str, Any], objectives: Sequence[str]) -> list[float]:
    """The objectives' values in a `result.json`. Raises ConfigError for one that this task does not measure."""
    known = {f"val_{name}": value for name, value in result["val"].items()}
    known |= {name: result[name] for name in _OF_THE_RUN}
    for name in objectives:
        if name not in known:
            raise ConfigError(
                f"hydra.sweeper.objectives: {name!r} is not measured in a {result['task']} run; {nearest(name, known)}"
            )
    return [float(known[name]) for name in objectives]
