"""What a policy needs to know about somebody else's run: losses, errors, rows seen, steps to come;
and what it may not ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from autogrow.errors import ConfigError, nearest
from autogrow.growth.modes import eval_mode
from autogrow.policy.book import Policy
from autogrow.policy.needs import anneals, requires

Measure = Callable[[pl.LightningModule], Mapping[str, float]]
MEASURES = ("train_loss", "val_loss", "train_error", "val_error")


class Monitors:
    """Reads train loss, val loss and errors: what the module logged under `names`, or what `measure(module)` returns.

    `names`: for each of `MEASURES` the name it is logged by, or None.
    """

    def __init__(self, names: Mapping[str, str | None], measure: Measure | None) -> None:
        self.names, self.measure = dict(names), measure

    @property
    def has_error(self) -> bool:
        """Whether policies that watch an error can be fed."""
        return self.measure is not None or self.names["val_error"] is not None

    def read(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, float]:
        """The value of each of `MEASURES`; NaN for errors nobody gives.

        Raises ConfigError, naming what there is, for one that was not logged.
        """
        given: Mapping[str, Any] = trainer.callback_metrics
        names, source = self.names, "what was logged per epoch"
        if self.measure is not None:
            with eval_mode(module):
                given = self.measure(module)
            names = {name: name for name in MEASURES if name in given or name.endswith("loss")}
            source = "what measure(module) returned"
        out = dict.fromkeys(MEASURES, math.nan)
        for measure, name in names.items():
            if name is not None:
                if name not in given:
                    raise ConfigError(f"{name!r} is not in {source}; {nearest(name, given)}")
                out[measure] = float(given[name])
        return out


def check_policy(policy: Policy, *, has_error: bool) -> None:
    """Raise ConfigError for a policy that a running module of somebody else cannot obey."""
    if not callable(policy):
        raise ConfigError(f"policy must be callable with (history, options), got {policy!r}")
    if anneals(policy):
        raise ConfigError(
            "GrowthController cannot return to the best net and anneal: the learning rate is your scheduler's. Give a growth policy "
            "alone, or LifeCycle(…, finish=NoFinish()); keep the best net with ModelCheckpoint(monitor=…)"
        )
    missing = requires(policy) - {"seconds"} - ({"error"} if has_error else set())
    if "error" in missing:
        raise ConfigError(
            "the policy watches the error too: give val_error='…' (a metric you log), or let it watch the loss"
        )
    if missing:
        raise ConfigError(f"the policy needs {', '.join(sorted(missing))}, which GrowthController does not offer")


def max_steps(trainer: pl.Trainer, epochs: int) -> int | None:
    """Optimizer steps of the whole fit; None where it has no end, or nobody can know it yet.

    `epochs`: how many have ended. Where the loader has no length, what they took on average tells what the rest takes.
    """
    limits = [float(trainer.max_steps)] if trainer.max_steps != -1 else []
    if trainer.max_epochs not in (None, -1):
        batches = trainer.num_training_batches
        if not math.isinf(batches):
            limits.append(trainer.max_epochs * math.ceil(batches / trainer.accumulate_grad_batches))
        elif epochs:
            limits.append(trainer.max_epochs * trainer.global_step // epochs)
    least = min(limits, default=math.inf)
    return None if math.isinf(least) else int(least)


def rows_in(batch: Any) -> int:
    """The length of the first tensor in a batch."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else 1
    values = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (list, tuple)) else ()
    return next((n for n in map(rows_in, values) if n), 0)
