"""What a checkpoint of a Lightning run leaves out and a bit-exact resume needs.

Lightning restores weights, optimizers, schedulers and progress. It does not restore the random state, the values logged
so far in an epoch, or the step of a `ReduceLROnPlateau` that was due when an epoch's checkpoint was written; and a
checkpoint written on an epoch's last batch loses that epoch's validation and its end. All of it is plain data, one
entry per rank.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics import Metric

Plain = dict[str, Any]
WITHIN_AN_EPOCH = ("batch", "last batch", "validated")


# -- random state ----------------------------------------------------------------------------------------------------
def random_state() -> Plain:
    """The global random state of torch (every CUDA device too), NumPy and Python, as plain values."""
    name, keys, at, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), np.asarray(keys).tolist(), int(at), int(has_gauss), float(cached)],
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """The inverse of `random_state`. CUDA states are set where as many devices are there as when it was taken."""
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


# -- where in an epoch the checkpoint was written --------------------------------------------------------------------
def position(trainer: pl.Trainer) -> str:
    """'batch' (within an epoch), 'last batch' (its validation still to come), 'validated', 'epoch end' or 'between'."""
    epoch: Any = trainer.fit_loop.epoch_progress.current
    batch: Any = trainer.fit_loop.epoch_loop.batch_progress
    if epoch.processed > epoch.completed:
        return "epoch end"
    if epoch.started == epoch.processed:
        return "between"
    if not batch.is_last_batch:
        return "batch"
    return "last batch" if batch.current.processed > batch.current.completed else "validated"


def finish_last_batch(checkpoint: Plain, trainer: pl.Trainer) -> str:
    """Let a run that goes on from a last-batch checkpoint do what was still to come of that epoch.

    Lightning would begin the next epoch, without this one's validation and end. The progress in `checkpoint` is made to
    say that validation was about to begin ('last batch'); where none is due, that the epoch has ended ('cut off').
    """
    loops = checkpoint["loops"]["fit_loop"]
    batch, epoch = loops["epoch_loop.batch_progress"], loops["epoch_progress"]
    for progress in (batch["total"], batch["current"]):
        progress["completed"] = progress["processed"]
    if validation_due(trainer, epoch["current"]["processed"]):
        validation = loops["epoch_loop.val_loop.batch_progress"]
        validation["total"] = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        validation["current"] = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
        validation["is_last_batch"] = False
        return "last batch"
    for progress in (epoch["total"], epoch["current"]):
        progress["processed"] = progress["started"]
    return "cut off"


def begin_next_epoch(trainer: pl.Trainer) -> None:
    """Let a run that goes on from an epoch's end begin the next epoch, also under `max_steps`.

    There Lightning ends the finished epoch a second time: its hooks run again, and epochs are counted twice.
    """
    fit_loop = trainer.fit_loop
    if not fit_loop.restarting:
        return
    for loop in (fit_loop, fit_loop.epoch_loop):
        loop._restarting = False
        loop.reset_restart_stage()
    for progress in (fit_loop.epoch_progress.current, fit_loop.epoch_progress.total):
        progress.completed = progress.processed  # type: ignore[attr-defined]


def validation_due(trainer: pl.Trainer, epoch: int) -> bool:
    """Whether `epoch` ends with a validation."""
    every = trainer.check_val_every_n_epoch
    return (
        trainer.enable_validation and trainer.val_check_interval == 1.0 and (every is None or (epoch + 1) % every == 0)
    )


# -- what was logged -------------------------------------------------------------------------------------------------
def logged(trainer: pl.Trainer) -> Plain:
    """Metrics known to callbacks, and the sums of this epoch's that are not finished."""
    results = trainer.fit_loop.epoch_loop._results
    where = position(trainer)
    known = {name: value.detach().cpu().clone() for name, value in trainer.callback_metrics.items()}
    sums: Plain = {}
    metrics: Plain = {}
    if where in ("last batch", "validated"):  # all that is summed up over the epoch is known by now
        known |= {
            name: value.detach().cpu().clone() for name, value in results.metrics(on_step=False)["callback"].items()
        }
    if where in WITHIN_AN_EPOCH:
        for key, metric in results.items():
            if metric.is_tensor and metric.meta.on_epoch and not metric.has_reset:
                sums[key] = {name: getattr(metric, name).cpu().clone() for name in metric._defaults}
        by_lightning = {id(metric.value) for metric in results.values() if not metric.is_tensor}
        for name, metric in _metrics(trainer.lightning_module):
            metrics[name] = {**_metric_state(metric), "logged": id(metric) in by_lightning}
    return {"known": known, "sums": sums, "metrics": metrics}


class Logged:
    """Puts back what had been logged: `known` values at once, unfinished sums with the first batch that logs them.

    `where`: the position of the checkpoint. Within an epoch all sums go on. Once its last batch is behind, what
    Lightning would add up and reset is over; metrics that the module keeps by itself are not.
    """

    def __init__(self, kept: Mapping[str, Any], trainer: pl.Trainer, where: str) -> None:
        self.sums = dict(kept["sums"]) if where == "batch" else {}
        device = trainer.strategy.root_device
        trainer.callback_metrics.update({name: value.to(device) for name, value in kept["known"].items()})
        if where not in WITHIN_AN_EPOCH:
            return
        for name, metric in _metrics(trainer.lightning_module):
            state = kept["metrics"].get(name)
            if state is not None and (where == "batch" or not state["logged"]):
                _set_metric_state(metric, state)

    def add_to(self, trainer: pl.Trainer) -> None:
        """Add the kept sums to the first batch's; a + b = b + a exactly,
        so the sum is that of the uninterrupted epoch.
        """
        results = trainer.fit_loop.epoch_loop._results
        for key in [key for key in self.sums if key in results]:
            metric = results[key]
            for name, value in self.sums.pop(key).items():
                combine = torch.add if not _keeps_extreme(metric, name) else metric.meta.reduce_fx
                now = getattr(metric, name)
                setattr(metric, name, combine(value.to(now.device), now))
            metric._computed = None


def _keeps_extreme(metric: Any, name: str) -> bool:
    return name == "value" and (metric.meta.is_max_reduction or metric.meta.is_min_reduction)


def _metrics(module: pl.LightningModule) -> Iterator[tuple[str, Metric]]:
    return ((name, m) for name, m in module.named_modules() if isinstance(m, Metric))


def _metric_state(metric: Metric) -> Plain:
    def copied(value: Any) -> Any:
        return [v.detach().cpu().clone() for v in value] if isinstance(value, list) else value.detach().cpu().clone()

    return {"count": metric._update_count, "state": {name: copied(getattr(metric, name)) for name in metric._defaults}}


def _set_metric_state(metric: Metric, kept: Mapping[str, Any]) -> None:
    def placed(value: Tensor | list[Tensor]) -> Any:
        return [v.to(metric.device) for v in value] if isinstance(value, list) else value.to(metric.device)

    for name, value in kept["state"].items():
        setattr(metric, name, placed(value))
    metric._update_count, metric._computed = kept["count"], None


# -- plateau schedulers ----------------------------------------------------------------------------------------------
def step_plateaus(trainer: pl.Trainer, epoch: int) -> None:
    """Take the steps of `ReduceLROnPlateau` that were due at the end of `epoch`,
    when its checkpoint had been written.
    """
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau and config.interval == "epoch" and (epoch + 1) % config.frequency == 0:
            value = trainer.callback_metrics.get(str(config.monitor))
            if value is not None:
                trainer.lightning_module.lr_scheduler_step(config.scheduler, value)


def epochs_ended(trainer: pl.Trainer) -> int:
    """How many epochs have been trained to their end."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return int(progress.processed)


# -- per rank --------------------------------------------------------------------------------------------------------
def gathered(trainer: pl.Trainer, mine: Plain) -> list[Plain]:
    """Every rank's entry, in the order of ranks, on every rank."""
    if trainer.world_size == 1:
        return [mine]
    all_of_them: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(all_of_them, mine)
    return all_of_them
