"""The controller of our own runs: measures, records, asks the policy, and applies what it decided.

Decide, then act: at a check's end (`on_train_epoch_end`) it measures, asks the policy and writes the row; at the next check's start
(`on_train_epoch_start`) it applies the decision. One Lightning epoch is one check. The policy holds no state and the
controller's is plain data, so a run can be resumed from any checkpoint, bit for bit.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from typing import Any

import pytorch_lightning as pl
import torch

from autogrow.data import TensorStream
from autogrow.errors import InterruptedRunError
from autogrow.growth.optimizer import check_optimizer
from autogrow.policy import LifeCycle, deliverable, return_target
from autogrow.policy.history import (
    GROWTHS,
    Action,
    Anneal,
    Keep,
    Row,
    Stop,
    Undo,
    action_from_plain,
    action_to_plain,
)
from autogrow.policy.replay import options_to_plain, recording
from autogrow.train.checkpoint import CheckpointWriter
from autogrow.train.display import View
from autogrow.train.invariants import check_ranks
from autogrow.train.ledger import Ledger
from autogrow.train.measurer import Measurer
from autogrow.train.module import GrowingModule
from autogrow.train.observe import Observation, Observer, options_of
from autogrow.train.operate import Event, grow, install
from autogrow.train.snapshot import Snapshot, take


class LifeCycleController(pl.Callback):
    """Runs the life cycle grow → hold → anneal → done inside one `Trainer.fit`."""

    def __init__(
        self,
        policy: LifeCycle,
        stream: TensorStream,
        measurer: Measurer,
        observer: Observer,
        *,
        max_steps: int | None,
        ledger: Ledger,
        writer: CheckpointWriter,
        display: View,
        arrived: Event | None = None,
    ) -> None:
        self.arrived = arrived
        self.policy, self.stream, self.measurer, self.max_steps = policy, stream, measurer, max_steps
        self.observer = observer
        self.ledger, self.writer, self.display = ledger, writer, display
        self.rows: list[Row] = []
        self.pending: Action = Keep()
        self.event: Event | None = None
        self.snapshots: dict[int, Snapshot] = {}
        self.interrupted: int | None = None
        self._eval_flops_of_event = 0
        self._seconds_before = 0.0
        self._started = time.perf_counter()
        self._check_seconds = 0.0
        self._random_state: torch.Tensor | None = None

    # -- state: plain data, all of it in the checkpoint -----------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Rows, the pending decision, the fresh event, the snapshots that may still be returned to, the random state."""
        return {
            "rows": [row.to_plain() for row in self.rows],
            "pending": action_to_plain(self.pending),
            "event": self.event,
            "event_eval_flops": self._eval_flops_of_event,
            "snapshots": self.snapshots,
            "random_state": torch.get_rng_state(),
            "seconds": self.seconds(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.rows = [Row.from_plain(row) for row in state_dict["rows"]]
        self.pending = action_from_plain(state_dict["pending"])
        self.event = state_dict["event"]
        self._eval_flops_of_event = state_dict["event_eval_flops"]
        self.snapshots = {int(k): v for k, v in state_dict["snapshots"].items()}
        self._random_state = state_dict["random_state"]
        self._seconds_before = state_dict["seconds"]

    def seconds(self) -> float:
        """Seconds this run has taken, earlier sittings included."""
        return self._seconds_before + time.perf_counter() - self._started

    # -- hooks ----------------------------------------------------------------------------------------------------------
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After a resume: put the random state back, and make up for what a checkpoint inside a check's end left out."""
        self._started = time.perf_counter()
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
            self._random_state = None
            self.ledger.cut_back(self.rows)
        module = _ours(pl_module)
        check_optimizer(trainer.optimizers[0], module.net)
        check_ranks(trainer, [module])
        if len(self.rows) < trainer.current_epoch:  # saved on a check's last batch: Lightning skips that check's end
            self.close_check(trainer, module, trainer.current_epoch - 1)
            self.apply_pending(trainer, module)
        if isinstance(self.pending, Stop):
            trainer.should_stop = True  # Lightning does not save it

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
        self.close_check(trainer, _ours(pl_module), trainer.current_epoch)
        changes_phase = len(self.rows) > 1 and self.rows[-1].phase != self.rows[-2].phase
        due = trainer.strategy.broadcast(self.writer.due())  # every rank takes part in saving: by one clock
        if changes_phase or not isinstance(self.pending, Keep) or due:
            self.writer.write(trainer)
        if self.asked_to_leave(trainer):  # Lightning would end the run here without a word, and with exit code 0
            self.leave(trainer)

    def asked_to_leave(self, trainer: pl.Trainer) -> bool:
        """Whether a signal asked this run to end: the same answer on every rank, whom it reaches at different moments."""
        asked = self.interrupted is not None
        return trainer.strategy.reduce_boolean_decision(asked, all=False) if trainer.world_size > 1 else asked

    def leave(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint and raise InterruptedRunError."""
        self.writer.write(trainer)
        raise InterruptedRunError(self.interrupted or signal.SIGTERM, self.writer.run_folder)

    # -- act ------------------------------------------------------------------------------------------------------------
    def apply_pending(self, trainer: pl.Trainer, module: GrowingModule) -> None:
        """Apply the pending decision; what was applied becomes the next row's event."""
        action, self.pending = self.pending, Keep()
        self.event = None if self.rows else self.arrived
        self._eval_flops_of_event = 0 if self.event is None else self.event["flops"]
        decided_at = len(self.rows) - 1
        if isinstance(action, GROWTHS):
            events = sum(row.event is not None for row in self.rows)
            self.event = grow(trainer, module, action, events=events, decided_at=decided_at)
            self._eval_flops_of_event = self.event["flops"]
        elif isinstance(action, (Anneal, Undo)):
            target = action.back_to if isinstance(action, Anneal) else action.to_check
            self.event = {**install(trainer, module, action, self.snapshots[target]), "decided_at": decided_at}
            if isinstance(action, Anneal):
                full = self.measurer.val(module, full=True)
                self._eval_flops_of_event = full.rows * self.event["after"]["flops_per_sample"]
                self.event |= {"full_val_loss": full.loss, "full_val_error": full.error, "full_val_score": full.score}

    # -- measure and decide ---------------------------------------------------------------------------------------------
    def close_check(self, trainer: pl.Trainer, module: GrowingModule, check: int) -> None:
        """End a check: measure both splits, ask the policy, write the row."""
        began = time.perf_counter()
        seen = self.observer.look(module)
        row = self.measured_row(trainer, module, check, seen)
        row = dataclasses.replace(row, phase=self.policy.phase([*self.rows, row]))
        options = recording(
            options_of(module, seen, steps_per_check=self.stream.steps_per_check, max_steps=self.max_steps)
        )
        decision = self.policy([*self.rows, row], options)
        shown = options_to_plain(options)
        row = dataclasses.replace(row, action=decision.action, reason=decision.reason, options=shown)
        if trainer.world_size > 1:  # measured and decided once
            row = Row.from_plain(trainer.strategy.broadcast(row.to_plain()))
        self.rows.append(row)
        self.pending = row.action
        self.keep_snapshots(trainer, module)
        if trainer.is_global_zero:
            self.ledger.append(row)
            self.display.check(row)
        if isinstance(self.pending, Stop):
            trainer.should_stop = True
        self._check_seconds += time.perf_counter() - began

    def measured_row(self, trainer: pl.Trainer, module: GrowingModule, check: int, seen: Observation) -> Row:
        """The row of this check, before anything is decided."""
        last = self.rows[-1] if self.rows else None
        step = trainer.global_step
        train = self.measurer.train(module)
        val = self.measurer.val(module, full=module.rate.anneal_from is not None)
        spent = module.cost
        rows_seen = (step - (last.step if last else 0)) * self.stream.batch_size
        looks = (train.rows + val.rows) * spent.flops_per_sample + self._eval_flops_of_event + seen.flops
        lineage = (last.lineage if last else 0) + (self.event is not None)
        return Row(
            check=check,
            step=step,
            passes=self.stream.passes(step),
            phase="grow",
            lineage=lineage,
            train_loss=train.loss,
            val_loss=val.loss,
            train_error=train.error,
            val_error=val.error,
            score=val.score,
            gap=val.loss - train.loss,
            lr=module.rate(max(0, step - 1)),
            widths=module.widths,
            parameters=spent.parameters,
            flops_per_sample=spent.flops_per_sample,
            train_flops=(last.train_flops if last else 0) + rows_seen * spent.train_flops_per_sample,
            eval_flops=(last.eval_flops if last else 0) + looks,
            event=self.event,
            timing={"seconds": self.seconds(), "check_seconds": self._check_seconds},
        )

    def keep_snapshots(self, trainer: pl.Trainer, module: GrowingModule) -> None:
        """Keep the nets that may still be returned to: the best so far, the one before the last growth, the deliverable."""
        wanted = {return_target(self.rows), deliverable(self.rows)}
        wanted.add(next((r.check for r in reversed(self.rows) if isinstance(r.action, GROWTHS)), None))
        here = self.rows[-1].check
        if here in wanted:
            self.snapshots[here] = take(module, trainer.optimizers[0])
        self.snapshots = {check: kept for check, kept in self.snapshots.items() if check in wanted}


def _ours(module: pl.LightningModule) -> GrowingModule:
    assert isinstance(module, GrowingModule)
    return module
