"""Growth for your own `LightningModule`: a callback that decides at an epoch's end and grows the net at the next one's
start.

Your optimizers, schedulers and groups stay yours; `configure_optimizers` is called again after a growth and what the
old ones had come to is carried over. One epoch with a validation is one check.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from autogrow.errors import ConfigError, nearest
from autogrow.growth.carry.optimizer import MODES
from autogrow.policy.book import Book, Policy
from autogrow.policy.event import Event
from autogrow.policy.history import GROWTHS, Action, Anneal, Row, Stop, Undo
from autogrow.train.guest.architecture import keep_record
from autogrow.train.guest.as_it_is import AsItIs, inputs_of, recorded
from autogrow.train.guest.batches import LastBatches
from autogrow.train.guest.checks import decided_row, enter, measured_by, sites_in
from autogrow.train.guest.loading import say_how_to_load, tell_plain_classes
from autogrow.train.guest.monitors import MEASURES, Measure, Monitors, check_policy
from autogrow.train.guest.reconnect import SiteRefusedError, grow_hot, look_at
from autogrow.train.guest.rows import Batch, GivenRows, Loss
from autogrow.train.guest.sittings import Resumption, write_sitting
from autogrow.train.guest.so_far import SoFar
from autogrow.train.guest.way_back import WayBack
from autogrow.train.record.ledger import Ledger
from autogrow.train.rewire.event import growth_event
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
        self.so_far, self.resumption, self.net_now = SoFar(), Resumption(), AsItIs(self.given)
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
            **self.so_far.to_plain(),
            **({"sums": copy.deepcopy(self.monitors.sums)} if self.monitors.sums else {}),
            **self.way_back.state_dict(),
            **self._batches.to_plain(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`; where a checkpoint is only tested, the rows of the run stay."""
        if self._keep_rows:
            return
        self.book.load(state_dict)
        self.so_far.load(state_dict)
        self.monitors.sums = dict(state_dict.get("sums", {}))
        self.way_back.load_state_dict(state_dict)
        self._batches.load(state_dict)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what each rank needs to go on exactly as it would have gone on."""
        write_sitting(trainer, checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """When a fit goes on: have the epoch finished that was not, and the random state of the moment."""
        self._keep_rows = trainer.state.fn is None or trainer.state.fn.value != "fit"
        if not self._keep_rows:
            self.resumption.read(trainer, checkpoint)

    # -- hooks --------------------------------------------------------------------------------------------------------
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let the module's checkpoints hold its architecture; refuse early what cannot grow."""
        record = keep_record(pl_module, self.net, inputs_of(pl_module, self.example), self.averages)
        if stage != "fit":
            return
        check_strategy(trainer)
        tell_plain_classes()
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
        self.so_far.go_on()
        self.net_now.forget()
        self.way_back.check(trainer)
        if self.resumption.begin(trainer, lambda: self.close_check(trainer, pl_module)) and trainer.is_global_zero:
            self.ledger.cut_back(self.rows)
        if isinstance(self.book.pending, Stop):
            trainer.should_stop = True  # Lightning does not save it

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply what the last check decided."""
        action = self.book.take()
        if isinstance(action, (Undo, Anneal)):
            before = self.net_now.size(pl_module)
            self.way_back.go(trainer, pl_module, recorded(pl_module), action)
            self.net_now.forget()
            self.book.applied(Event(action, before, self.net_now.size(pl_module), decided_at=self.book.decided_at))
        if not isinstance(action, GROWTHS):
            return
        try:
            self.book.applied(self.grow(trainer, pl_module, action))
            say_how_to_load(pl_module)
        except SiteRefusedError as error:
            self.book.refuse(sites_in(action), str(error))
            self.net_now.forget()
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
        self.monitors.note(trainer, self.so_far.saw("train", batch, trainer))
        self._batches.see(batch)
        self.resumption.after_batch(trainer)

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
            self.so_far.saw("val", batch, trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch with a validation is a check."""
        self.so_far.validated = self.so_far.validated or not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, decide, record."""
        self.resumption.epoch_ended()
        trainer.fit_loop._restarting = False  # the metrics are there again, so plateau schedulers may take their step
        self.close_check(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the module with the net that is handed back."""
        check = self.way_back.hand_back(trainer, pl_module, recorded(pl_module), self.rows)
        if check is not None:
            self.net_now.forget()
            rank_zero_info(f"autogrow: the module is the net of check {check}, the best")

    # -- decide and act -----------------------------------------------------------------------------------------------
    def close_check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """End a check: measure, ask the policy, write the row. Rank 0's row is every rank's."""
        validates = trainer.enable_validation and self.monitors.measure is None
        taken = self.rows and self.rows[-1].step == trainer.global_step
        if taken or (validates and not self.so_far.validated):
            return
        sites, spent = self.net_now.known(module)
        values, columns = self.monitors.read(trainer, module), self.given.columns(sites)
        measured = measured_by(
            trainer, values, sites, spent, seen=self.so_far.rows, seconds=self.so_far.seconds(), columns=columns
        )
        row = decided_row(trainer, module, self.book, measured, sites, self.given, self.way_back.there)
        self.book.enter(row)
        self.so_far.close()
        self.way_back.keep(trainer, module, recorded(module), self.rows)
        enter(trainer, self.ledger, row)

    def grow(self, trainer: pl.Trainer, module: pl.LightningModule, action: Action) -> Event:
        """Apply a growth; answers with its event."""
        before, record = self.net_now.size(module), recorded(module)
        surgery, flops = grow_hot(
            trainer,
            module,
            record,
            action,
            seed=self.seed,
            neurons=self._batches.given(module.device),
            mode=self.optimizer_state,
            columns=self.given.columns(self.net_now.known(module)[0]),
        )
        self.net_now.forget()
        after = self.net_now.size(module)
        return growth_event(action, surgery, before, after, decided_at=self.book.decided_at, flops=flops)


__all__ = ["GrowthController"]
