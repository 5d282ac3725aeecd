"""What a random search draws from: depth, one width for all layers, dropout, learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import optuna

from autogrow.errors import ConfigError, nearest

LOG = ("width", "lr")
"""Drawn evenly on a logarithmic scale."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Space:
    """The least and the greatest value of each hyper-parameter, both included."""

    depth: Range = (1, 3)
    width: Range = (16, 512)
    dropout: Range = (0.0, 0.5)
    lr: Range = (1e-4, 1e-2)

    def __post_init__(self) -> None:
        for name in names():
            self._check(name, getattr(self, name))

    def _check(self, name: str, pair: Any) -> None:
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(isinstance(v, (int, float)) for v in pair):
            raise ConfigError(f"search.space.{name} must be [least, greatest], got {pair!r}")
        low, high = pair
        least = {"depth": 1, "width": 1, "dropout": 0.0, "lr": 1e-12}[name]
        if not least <= low <= high or (name == "dropout" and high >= 1):
            within = f"at least {least:g}" + (" and below 1" if name == "dropout" else "")
            raise ConfigError(f"search.space.{name} must be [least, greatest], {within}, got [{low:g}, {high:g}]")

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Draw one configuration."""
        depth = trial.suggest_int("depth", *map(int, self.depth))
        width = trial.suggest_int("width", *map(int, self.width), log=True)
        dropout = trial.suggest_float("dropout", *self.dropout)
        lr = trial.suggest_float("lr", *self.lr, log=True)
        return {"widths": [width] * depth, "depth": depth, "width": width, "dropout": dropout, "lr": lr}


def names() -> list[str]:
    """The hyper-parameters, in the order in which they are drawn."""
    return [f.name for f in fields(Space)]


def space_from(plain: Mapping[str, Any]) -> Space:
    """A space from plain data. Raises ConfigError with the nearest names for a hyper-parameter it does not have."""
    for name in plain:
        if name not in names():
            raise ConfigError(f"search.space has no {name!r}; {nearest(name, names())}")
    return Space(**{k: tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else v for k, v in plain.items()})
