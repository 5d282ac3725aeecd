"""What a policy needs to know about somebody else's run: losses, errors, rows seen, steps to come;
and what it may not ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from autogrow.errors import ConfigError, nearest
from autogrow.growth.modes import eval_mode
from autogrow.policy.book import Policy
from autogrow.policy.needs import requires

Measure = Callable[[pl.LightningModule], Mapping[str, float]]
OPTIONS = {  # the controller's option that names each
    "train_loss": "train_monitor",
    "val_loss": "val_monitor",
    "train_error": "train_error",
    "val_error": "val_error",
}
MEASURES = tuple(OPTIONS)


class Monitors:
    """Reads train loss, val loss and errors: what the module logged under `names`, or what `measure(module)` returns.

    `names`: for each of `MEASURES` the name it is logged by, or None.
    """

    def __init__(self, names: Mapping[str, str | None], measure: Measure | None) -> None:
        self.names, self.measure = dict(names), measure
        self.sums: dict[str, list[float]] = {}  # of what is logged step by step alone: the sum over rows, and the rows

    @property
    def has_error(self) -> bool:
        """Whether policies that watch an error can be fed."""
        return self.measure is not None or self.names["val_error"] is not None

    def note(self, trainer: pl.Trainer, rows: int) -> None:
        """After a training batch of so many rows: a value that is logged per step alone is averaged over the rows of
        the check, where Lightning would keep the last batch's.
        """
        results = trainer.fit_loop.epoch_loop._results
        for name in () if self.measure is not None else self.names.values():
            logged = [m for m in results.values() if m.meta.name == name]
            if logged and not any(m.meta.on_epoch for m in logged) and logged[0].is_tensor:
                total = self.sums.setdefault(str(name), [0.0, 0.0])
                total[0] += float(logged[0].value) * rows
                total[1] += rows

    def _averaged(self, trainer: pl.Trainer, name: str) -> float:
        total, rows = self.sums[name]
        if trainer.world_size > 1:
            mine = torch.tensor([total, rows], dtype=torch.float64, device=trainer.strategy.root_device)
            total, rows = trainer.strategy.reduce(mine, reduce_op="sum").tolist()
        return total / rows

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
                    option = "" if self.measure is not None else f"{OPTIONS[measure]}="
                    raise ConfigError(f"{option}{name!r} is not in {source}; {nearest(name, given)}")
                summed = self.measure is None and name in self.sums
                out[measure] = self._averaged(trainer, name) if summed else float(given[name])
        self.sums = {}
        return out


def check_policy(policy: Policy, *, has_error: bool, has_rows: bool) -> None:
    """Raise ConfigError for a policy that a running module of somebody else cannot obey."""
    if not callable(policy):
        raise ConfigError(f"policy must be callable with (history, options), got {policy!r}")
    if getattr(getattr(policy, "finish", None), "refit", False):
        raise ConfigError(
            "GrowthController cannot repeat the anneal on training and validation rows: your loaders are yours. Give "
            "Finish(refit=False), in recipe(refit=False) or LifeCycle(…)"
        )
    offered = {"seconds", "undo"} | ({"error"} if has_error else set()) | ({"scores"} if has_rows else set())
    missing = requires(policy) - offered
    if "scores" in missing:
        raise ConfigError(
            "the policy asks for scores, which are measured on training rows: give batches=[(x, y), …], what the net reads "
            "and the targets, and loss=…, their mean loss"
        )
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
