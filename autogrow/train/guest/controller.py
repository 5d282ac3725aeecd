"""Growth for your own `LightningModule`: a callback that decides at an epoch's end and grows the net at the next one's
start.

Your optimizers, schedulers and groups stay yours; `configure_optimizers` is called again after a growth and what the
old ones had come to is carried over. One epoch with a validation is one check.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from autogrow.errors import ConfigError, nearest
from autogrow.growth import Sites
from autogrow.growth.carry.optimizer import MODES
from autogrow.growth.cost import NetCost
from autogrow.policy.book import Book, Policy
from autogrow.policy.event import Event, Size
from autogrow.policy.history import GROWTHS, Action, Anneal, Keep, Row, Stop, Undo
from autogrow.train.guest.architecture import Growable, GrowthRecord, keep_record, record_of
from autogrow.train.guest.batches import LastBatches
from autogrow.train.guest.checks import allowed_in, measured_by, options_for, sites_in, sizes_to_log
from autogrow.train.guest.monitors import MEASURES, Measure, Monitors, check_policy, rows_in
from autogrow.train.guest.reconnect import SiteRefusedError, grow_hot, look_at
from autogrow.train.guest.resume import (
    WITHIN_AN_EPOCH,
    Logged,
    begin_next_epoch,
    epochs_ended,
    finish_last_batch,
    gathered,
    logged,
    position,
    random_state,
    set_random_state,
    step_plateaus,
)
from autogrow.train.guest.rows import Batch, GivenRows, Loss
from autogrow.train.guest.way_back import WayBack
from autogrow.train.record.checkpoint import CHECKPOINT_KEY
from autogrow.train.record.ledger import Ledger
from autogrow.train.rewire.event import growth_event, size_of
from autogrow.train.rewire.rewire import check_strategy


class GrowthController(pl.Callback):
    """Grows the net of any `LightningModule` while it trains.

    `policy`: a growth policy of `autogrow.policy`, or a `LifeCycle` where it should also end the run: with a finish
    that anneals (`recipe(refit=False)`) the rate is the policy's then, so a module with a scheduler of its own is
    refused. `net`: the submodule that grows; '' for the module itself, or a list of submodules of which alone something
    grows, both looked at through the module's forward. `example`: its input, with a batch dimension (several inputs as
    a sequence); by default the module's `example_input_array`. `train_monitor`, `val_monitor`, `train_error`,
    `val_error`: names you log (per step alone: they are averaged over the epoch); or `measure(module)` returns those
    values itself, called in eval mode: one function for both losses makes the better gap. `neurons`: what new units
    start as; `GradMax(loss=…)` and `Tiny(loss=…)` are computed from the last training batches (inputs, targets).
    `optimizer_state`: 'carry' it, keep it for tensors without new entries ('fresh'), or 'reset' it.
    `averages`: names of submodules that average the net (Lightning's averaging callbacks and `AveragedModel`s are
    found). `restore_best`: leave the module with the best net when the fit ends (by default where the policy anneals).
    `batches`, `loss`: training rows as the net reads them with their targets, and their mean loss, for policies that
    ask for scores or refine columns. `ledger`: a folder for `ledger.jsonl`.

    A growth that fails at its site is a refusal in the next row (`refused`: site → reason): it is not tried again,
    and the fit goes on. Raises ConfigError for what a running module of yours cannot do: a refit, scores without rows,
    a policy that watches an error nobody logs.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        net: str | Sequence[str] = "net",
        example: Tensor | Sequence[Tensor] | None = None,
        train_monitor: str = "train_loss",
        val_monitor: str = "val_loss",
        train_error: str | None = None,
        val_error: str | None = None,
        measure: Measure | None = None,
        neurons: Any = None,
        optimizer_state: str = "carry",
        averages: Sequence[str] = (),
        restore_best: bool | None = None,
        batches: Sequence[Batch] = (),
        loss: Loss | None = None,
        seed: int = 0,
        ledger: str | Path | None = None,
    ) -> None:
        if optimizer_state not in MODES:
            raise ConfigError(f"optimizer_state={optimizer_state!r} is unknown; {nearest(optimizer_state, MODES)}")
        names = dict(zip(MEASURES, (train_monitor, val_monitor, train_error, val_error), strict=True))
        self.monitors = Monitors(names, measure)
        self.given = GivenRows(tuple(batches), loss)
        check_policy(policy, has_error=self.monitors.has_error, has_rows=loss is not None)
        self.restore_best = restore_best
        self.policy, self.net, self.example, self.neurons = policy, net, example, neurons
        self.optimizer_state, self.averages, self.seed = optimizer_state, tuple(averages), seed
        self.ledger = Ledger(None if ledger is None else Path(ledger))
        self._start()

    def _start(self) -> None:
        self.book = Book(self.policy)
        self.way_back = WayBack(self.policy, self.restore_best)
        self._rows_seen = {"train": 0, "val": 0}
        self._validated = False
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._resumed: dict[str, Any] | None = None
        self._logged: Logged | None = None
        self._known: tuple[Sites, NetCost] | None = None
        self._keep_rows = False
        self._batches = LastBatches(self.neurons)

    @property
    def rows(self) -> list[Row]:
        """The checks so far."""
        return self.book.rows

    # -- state --------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Plain data: the rows, the pending decision, the fresh event, and the counts of this check."""
        return {
            **self.book.to_plain(),
            "rows_seen": dict(self._rows_seen),
            "validated": self._validated,
            "seconds": self.seconds(),
            **({"sums": copy.deepcopy(self.monitors.sums)} if self.monitors.sums else {}),
            **self.way_back.state_dict(),
            **self._batches.to_plain(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`; where a checkpoint is only tested, the rows of the run stay."""
        if self._keep_rows:
            return
        self.book.load(state_dict)
        self._rows_seen = dict(state_dict["rows_seen"])
        self._validated = state_dict["validated"]
        self._seconds_before = state_dict["seconds"]
        self.monitors.sums = dict(state_dict.get("sums", {}))
        self.way_back.load_state_dict(state_dict)
        self._batches.load(state_dict)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what each rank needs to go on exactly as it would have gone on."""
        ranks = gathered(trainer, {"random": random_state(), "logged": logged(trainer)})
        checkpoint.setdefault(CHECKPOINT_KEY, {}).update(position=position(trainer), ranks=ranks)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """When a fit goes on: have the epoch finished that was not, and the random state of the moment."""
        ours = checkpoint.get(CHECKPOINT_KEY, {})
        self._keep_rows = trainer.state.fn is None or trainer.state.fn.value != "fit"
        if self._keep_rows or "ranks" not in ours:
            return
        where = ours["position"]
        if where == "last batch":
            where = finish_last_batch(checkpoint, trainer)
        ranks = ours["ranks"]
        mine = ranks[trainer.global_rank] if trainer.global_rank < len(ranks) else ranks[0]
        self._resumed = {"position": where, **mine}
        set_random_state(mine["random"])  # a loader that shuffles by the global state draws before training starts

    def seconds(self) -> float:
        """Seconds of training so far, earlier sittings included."""
        return self._seconds_before + time.perf_counter() - self._started

    # -- hooks --------------------------------------------------------------------------------------------------------
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let the module's checkpoints hold its architecture; refuse early what cannot grow."""
        record = keep_record(pl_module, self.net, self._inputs(pl_module), self.averages)
        if stage != "fit":
            return
        check_strategy(trainer)
        if trainer.global_step == 0:
            self._start()
        self._batches.example = record.example
        self._batches.check(trainer.world_size)
        sites, _ = look_at(record.net(pl_module), record)
        if not sites.widths and not sites.depths:
            raise ConfigError(
                f"nothing in {self.net!r} can grow: {'; '.join(sites.refused.values()) or 'no hidden width'}"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After a resume: put back what Lightning left out, and finish a check that was cut off."""
        self._started, self._known = time.perf_counter(), None
        self.way_back.check(trainer)
        if self._resumed is not None:
            resumed, self._resumed = self._resumed, None
            self._logged = Logged(resumed["logged"], trainer, resumed["position"])
            if resumed["position"] == "cut off":
                self.close_check(trainer, pl_module)
            if resumed["position"] in ("cut off", "epoch end"):
                begin_next_epoch(trainer)
                step_plateaus(trainer, epochs_ended(trainer) - 1)
            if resumed["position"] in WITHIN_AN_EPOCH:
                set_random_state(resumed["random"])
            if trainer.is_global_zero:
                self.ledger.cut_back(self.rows)
        if isinstance(self.book.pending, Stop):
            trainer.should_stop = True  # Lightning does not save it

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply what the last check decided."""
        action = self.book.take()
        if isinstance(action, (Undo, Anneal)):
            before = self.size(pl_module)
            self.way_back.go(trainer, pl_module, self._record(pl_module), action)
            self._known = None
            self.book.applied(Event(action, before, self.size(pl_module), decided_at=self.book.decided_at))
        if not isinstance(action, GROWTHS):
            return
        try:
            self.book.applied(self.grow(trainer, pl_module, action))
            self._say_how_to_load(pl_module)
        except SiteRefusedError as error:
            self.book.refuse(sites_in(action), str(error))
            self._known = None
            rank_zero_info(f"autogrow: {', '.join(sites_in(action))} cannot grow and is not tried again: {error}")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """In an anneal the rate is the policy's."""
        self.way_back.set_rate(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the rows; after a resume within an epoch, go on with its sums."""
        rows = rows_in(batch)
        self._rows_seen["train"] += rows * trainer.world_size
        self.monitors.note(trainer, rows)
        self._batches.see(batch)
        if self._logged is not None:
            self._logged.add_to(trainer)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the rows."""
        if not trainer.sanity_checking:
            self._rows_seen["val"] += rows_in(batch) * trainer.world_size

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch with a validation is a check."""
        self._validated = self._validated or not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, decide, record."""
        self._logged = None
        trainer.fit_loop._restarting = False  # the metrics are there again, so plateau schedulers may take their step
        self.close_check(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the module with the net that is handed back."""
        check = self.way_back.hand_back(trainer, pl_module, self._record(pl_module), self.rows)
        if check is not None:
            self._known = None
            rank_zero_info(f"autogrow: the module is the net of check {check}, the best")

    # -- decide -------------------------------------------------------------------------------------------------------
    def close_check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """End a check: measure, ask the policy, write the row. Rank 0's row is every rank's."""
        validates = trainer.enable_validation and self.monitors.measure is None
        taken = self.rows and self.rows[-1].step == trainer.global_step
        if taken or (validates and not self._validated):
            return
        sites, spent = self.known(module)
        values, columns = self.monitors.read(trainer, module), self.given.columns(sites)
        measured = measured_by(
            trainer, values, sites, spent, seen=self._rows_seen, seconds=self.seconds(), columns=columns
        )
        options = options_for(trainer, self.book, self._record(module), module, sites, self.given, columns)
        allowed = allowed_in(trainer, sites, self.book.all_refused)
        row = self.book.row(measured)
        decided = self.book.decided(
            row, options, lambda row, decision: self.way_back.there(row, allowed(row, decision))
        )
        row = Row.from_plain(trainer.strategy.broadcast(decided.to_plain()))
        self.book.enter(row)
        self._rows_seen, self._validated = {"train": 0, "val": 0}, False
        self.way_back.keep(trainer, module, self._record(module), self.rows)
        if trainer.is_global_zero:
            self.ledger.append(row)
            for logger in trainer.loggers:
                logger.log_metrics(sizes_to_log(row), step=trainer.fit_loop.epoch_loop._batches_that_stepped)
        if isinstance(row.action, Stop):
            trainer.should_stop = True
        if not isinstance(row.action, Keep):
            rank_zero_info(f"autogrow, check {row.check}: {row.reason}")

    # -- act ----------------------------------------------------------------------------------------------------------
    def grow(self, trainer: pl.Trainer, module: pl.LightningModule, action: Action) -> Event:
        """Apply a growth; answers with its event."""
        before, record = self.size(module), self._record(module)
        surgery, flops = grow_hot(
            trainer,
            module,
            record,
            action,
            seed=self.seed,
            neurons=self._batches.given(module.device),
            mode=self.optimizer_state,
            columns=self.given.columns(self.known(module)[0]),
        )
        self._known = None
        return growth_event(action, surgery, before, self.size(module), decided_at=self.book.decided_at, flops=flops)

    def _say_how_to_load(self, module: pl.LightningModule) -> None:
        """Once, at the first growth: `load_from_checkpoint` builds the module by itself, as it started."""
        name = type(module).__name__
        if not isinstance(module, Growable) and len(self._record(module).recipe) == 1:
            rank_zero_info(
                f"autogrow: its checkpoints are loaded by autogrow.load_grown({name}(…), path); for "
                f"{name}.load_from_checkpoint write class {name}(Growable, …), with autogrow.Growable"
            )

    # -- the net as it is ---------------------------------------------------------------------------------------------
    def known(self, module: pl.LightningModule) -> tuple[Sites, NetCost]:
        """Sites and cost of the net; found anew after a growth."""
        if self._known is None:
            record = self._record(module)
            self._known = look_at(record.net(module), record)
        return self._known

    def size(self, module: pl.LightningModule) -> Size:
        """The net's size as it is."""
        sites, spent = self.known(module)
        return size_of(sites, spent, self.given.columns(sites))

    def _record(self, module: pl.LightningModule) -> GrowthRecord:
        record = record_of(module)
        assert record is not None
        return record

    def _inputs(self, module: pl.LightningModule) -> tuple[Tensor, ...]:
        example = module.example_input_array if self.example is None else self.example
        if isinstance(example, Tensor):
            return (example,)
        if not isinstance(example, Sequence) or not all(isinstance(t, Tensor) for t in example):
            raise ConfigError(
                f"example must be a tensor or a sequence of tensors (the net's inputs, with a batch dimension), got {example!r}"
            )
        return tuple(example)


__all__ = ["GrowthController"]
