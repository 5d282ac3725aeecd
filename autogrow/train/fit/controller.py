"""The controller of our own runs: measures, records, asks the policy, and applies what it decided.

Decide, then act: at a check's end (`on_train_epoch_end`) it measures, asks the policy and writes the row; at the next
check's start (`on_train_epoch_start`) it applies the decision. One Lightning epoch is one check. The policy holds no
state and the controller's is plain data, so a run can be resumed from any checkpoint, bit for bit.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch

from autogrow.data import BatchStream
from autogrow.errors import CheckpointError, InterruptedRunError
from autogrow.growth.carry.optimizer import check_optimizer
from autogrow.policy import LifeCycle, deliverable, return_target, validated
from autogrow.policy.book import Book, Measured
from autogrow.policy.event import Event, FullVal
from autogrow.policy.history import GROWTHS, RETURNS, Anneal, Keep, Refit, Row, Stop
from autogrow.policy.signals import last_decided
from autogrow.train.fit.checkpoint_writer import CheckpointWriter
from autogrow.train.fit.looks.measurer import Measurer
from autogrow.train.fit.looks.observe import Observation, Observer
from autogrow.train.fit.net.measure import NOT_MEASURED
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.net.snapshot import Snapshot, take
from autogrow.train.fit.operate import grow, install
from autogrow.train.fit.view import View
from autogrow.train.record.ledger import Ledger
from autogrow.train.rewire.event import options_of
from autogrow.train.rewire.invariants import check_ranks


class LifeCycleController(pl.Callback):
    """Runs the life cycle grow → hold → anneal → done inside one `Trainer.fit`."""

    def __init__(
        self,
        policy: LifeCycle,
        stream: BatchStream,
        measurer: Measurer,
        observer: Observer,
        *,
        max_steps: int | None,
        ledger: Ledger,
        writer: CheckpointWriter,
        display: View,
        continues: Event | None = None,
    ) -> None:
        self.book = Book(policy, event=continues)
        self.policy, self.stream, self.measurer, self.max_steps = policy, stream, measurer, max_steps
        self.observer, self.device = observer, measurer.device
        self.ledger, self.writer, self.display = ledger, writer, display
        self.snapshots: dict[int, Snapshot] = {}
        self.interrupted: int | None = None
        self.hear: Callable[[], None] = lambda: None
        self.has_begun = False  # what a checkpoint holds has been put back
        self._seconds_before = 0.0
        self._started = time.perf_counter()
        self._check_seconds = 0.0
        self._random_state: torch.Tensor | None = None
        self._random_state_of_device: torch.Tensor | None = None

    @property
    def rows(self) -> list[Row]:
        """The checks so far."""
        return self.book.rows

    # -- state: plain data, all of it in the checkpoint ---------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Rows, the pending decision, the fresh event, the snapshots that may still be returned to,
        the random state.
        """
        return {
            **self.book.to_plain(),
            "snapshots": self.snapshots,
            "random_state": torch.get_rng_state(),
            "seconds": self.seconds(),
            **({"random_state_of_device": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {}),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.book.load(state_dict)
        event, last = self.book.event, self.book.last
        # an older autogrow kept an event until the next check began, and what it took beside it
        if event is not None and "event_eval_flops" in state_dict:
            of_last = last is not None and last.event == event
            self.book.event = None if of_last else dataclasses.replace(event, flops=state_dict["event_eval_flops"])
        self.snapshots = {int(k): v for k, v in state_dict["snapshots"].items()}
        self._random_state = state_dict["random_state"]
        self._random_state_of_device = state_dict.get("random_state_of_device")
        self._seconds_before = state_dict["seconds"]

    def seconds(self) -> float:
        """Seconds this run has taken, earlier sittings included."""
        return self._seconds_before + time.perf_counter() - self._started

    # -- hooks --------------------------------------------------------------------------------------------------------
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After a resume: put the random state back, and make up for what a checkpoint inside a check's end left
        out.
        """
        self.hear()  # Lightning's own handler talks to the other processes from within whatever it interrupts
        self._started = time.perf_counter()
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
            self._random_state = None
            if self._random_state_of_device is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(self._random_state_of_device, self.device)
            self.ledger.cut_back(self.rows)
            if trainer.is_global_zero:
                self.writer.forget_from(len(self.rows))
        module = _ours(pl_module)
        check_optimizer(trainer.optimizers[0], module.net)
        check_ranks(trainer, [module])
        self.check_progress(trainer)
        self.has_begun = True
        if any(isinstance(row.action, Refit) for row in self.rows) and not isinstance(self.book.pending, Refit):
            self.learn_validation_rows()
        if len(self.rows) < trainer.current_epoch:  # saved on a check's last batch: Lightning skips that check's end
            self.close_check(trainer, module)
            self.apply_pending(trainer, module)
        if isinstance(self.book.pending, Stop):
            trainer.should_stop = True  # Lightning does not save it

    def check_progress(self, trainer: pl.Trainer) -> None:
        """Raise CheckpointError where Lightning's progress is not that of the rows."""
        rows, last = len(self.rows), self.book.last
        ahead = trainer.global_step - (last.step if last else 0)
        if trainer.current_epoch - rows not in (0, 1) or not 0 <= ahead <= self.stream.steps_per_check:
            raise CheckpointError(
                f"its checkpoint is at check {trainer.current_epoch}, step {trainer.global_step}, and its rows are not"
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply what the last check decided."""
        self.apply_pending(trainer, _ours(pl_module))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two bursts is the place to leave a run that was asked to end."""
        if self.asked_to_leave(trainer):
            self.leave(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, decide, record; keep what may be needed again."""
        self.close_check(trainer, _ours(pl_module))
        changes_phase = len(self.rows) > 1 and self.rows[-1].phase != self.rows[-2].phase
        due = trainer.strategy.broadcast(self.writer.due())  # every rank takes part in saving: by one clock
        if changes_phase or not isinstance(self.book.pending, Keep) or due:
            self.writer.write(trainer)
        if self.asked_to_leave(trainer):  # Lightning would end the run here without a word, and with exit code 0
            self.leave(trainer)

    def asked_to_leave(self, trainer: pl.Trainer) -> bool:
        """Whether a signal asked this run to end: the same answer on every rank,
        whom it reaches at different moments.
        """
        asked = self.interrupted is not None
        return trainer.strategy.reduce_boolean_decision(asked, all=False) if trainer.world_size > 1 else asked

    def leave(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint and raise InterruptedRunError."""
        self.writer.write(trainer)
        raise InterruptedRunError(self.interrupted or signal.SIGTERM, self.writer.run_folder)

    # -- act ----------------------------------------------------------------------------------------------------------
    def apply_pending(self, trainer: pl.Trainer, module: GrowingModule) -> None:
        """Apply the pending decision; what was applied becomes the next row's event."""
        action, book = self.book.take(), self.book
        if isinstance(action, GROWTHS):
            book.applied(grow(trainer, module, action, events=book.events, decided_at=book.decided_at))
        elif isinstance(action, RETURNS):
            event = install(trainer, module, action, self.snapshots[action.back_to], decided_at=book.decided_at)
            if isinstance(action, Anneal):
                full = self.measurer.val(module, full=True)
                found = FullVal(full.loss, full.error, full.score, full.judged)
                flops = full.rows * module.cost.flops_per_sample
                event = dataclasses.replace(event, full_val=found, flops=flops)
            book.applied(event)
            if isinstance(action, Refit):
                self.learn_validation_rows()

    def learn_validation_rows(self) -> None:
        """From here on the net learns from validation rows too: the choice that they were kept for has been made."""
        self.stream.learn_also(*(part for part in self.measurer.all_val if part is not None))

    # -- measure and decide -------------------------------------------------------------------------------------------
    def close_check(self, trainer: pl.Trainer, module: GrowingModule) -> None:
        """End a check: measure both splits, ask the policy, write the row."""
        began = time.perf_counter()
        seen, look = self.observer.look(module), self.observer.columns(module)
        options = options_of(
            module.net,
            module.example,
            module.sites,
            scores=seen.scores,
            measured=seen.measured,
            steps_per_check=self.stream.steps_per_check,
            max_steps=self.max_steps,
            columns=module.columns,
            look=look,
            device=self.observer.device_of,
        )
        row = self.observer.newborns(module, self.book.row(self.measured(trainer, module, seen)), self.rows)
        row = self.book.decided(row, options)
        row = dataclasses.replace(row, eval_flops=row.eval_flops + look.flops)
        if trainer.world_size > 1:  # measured and decided once
            row = Row.from_plain(trainer.strategy.broadcast(row.to_plain()))
        self.book.enter(row)
        self.keep_snapshots(trainer, module)
        if trainer.is_global_zero:
            self.ledger.append(row)
            self.display.check(row)
        if isinstance(row.action, Stop):
            trainer.should_stop = True
        self._check_seconds += time.perf_counter() - began

    def measured(self, trainer: pl.Trainer, module: GrowingModule, seen: Observation) -> Measured:
        """What this check finds, and what was spent since the last."""
        step, last = trainer.global_step, self.book.last
        train = self.measurer.train(module)
        if self.stream.more is None:
            val = self.measurer.val(module, full=module.rate.anneal_from is not None)
        else:
            val = NOT_MEASURED  # these rows are learned from, and judge nothing
        steps = step - (last.step if last else 0)
        return Measured(
            step=step,
            passes=self.stream.passes(step),
            train_loss=train.loss,
            val_loss=val.loss,
            train_error=train.error,
            val_error=val.error,
            score=val.score,
            lr=module.rate(max(0, step - 1)),
            size=module.size,
            train_flops=steps * module.train_flops_per_step(self.stream.batch_size),
            eval_flops=(train.rows + val.rows) * module.cost.flops_per_sample + seen.flops,
            timing={"seconds": self.seconds(), "check_seconds": self._check_seconds},
            judged=val.judged,
        )

    def keep_snapshots(self, trainer: pl.Trainer, module: GrowingModule) -> None:
        """Keep the nets that may still be returned to: the best so far, the one before the last growth, the one that
        validation judges best, the deliverable.
        """
        wanted = {return_target(self.rows), validated(self.rows), deliverable(self.rows)}
        wanted.add(last_decided(self.rows))
        here = self.rows[-1].check
        if here in wanted:
            self.snapshots[here] = take(module, trainer.optimizers[0])
        if isinstance(self.rows[-1].action, GROWTHS) and trainer.is_global_zero:
            self.writer.keep(here, self.snapshots[here])
        self.snapshots = {check: kept for check, kept in self.snapshots.items() if check in wanted}


def _ours(module: pl.LightningModule) -> GrowingModule:
    assert isinstance(module, GrowingModule)
    return module
