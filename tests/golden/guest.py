"""What a guest's golden run is made of: a module that is not ours, its data, a policy that widens and deepens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import autogrow
from autogrow.policy.history import Action, Decision, Deepen, History, Keep, Options, Stop, Widen

INPUTS, CLASSES, BATCH = 5, 3, 16
EXAMPLE = torch.linspace(-1, 1, 2 * INPUTS).reshape(2, INPUTS)
EPOCHS = 9
CHECKPOINT = "guest.ckpt"


def net() -> nn.Sequential:
    """The guest's net as it is before any growth."""
    return nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, CLASSES))


class Guest(pl.LightningModule):
    """Two parameter groups, a schedule by the step, and a part beside the net that does not grow."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()
        self.scale = nn.Parameter(torch.ones(CLASSES))

    def _loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.body(x) * self.scale, y)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self._loss(batch))

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.parameters() if p.ndim > 1]
        rest = [p for p in self.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 1e-2}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-2, amsgrad=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.97**step)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@dataclass(frozen=True)
class Planned:
    """Fixed decisions by the number of the check."""

    plan: Mapping[int, Action] = field(default_factory=dict)

    def __call__(self, history: History, options: Options) -> Decision:
        now = history[-1]
        return Decision(
            self.plan.get(now.check, Keep()), f"planned at check {now.check} with {options.max_steps} steps"
        )


PLAN = {
    1: Widen({"0": 12}),
    2: Deepen("1"),
    4: Widen({"0": 14, "2": 10}),
    5: Deepen("3", "residual"),
    EPOCHS - 2: Stop(),
}


def table(rows: int, seed: int) -> TensorDataset:
    """Inputs (rows, INPUTS) and classes (rows,), drawn by the seed."""
    x = torch.randn(rows, INPUTS, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 0.5).long())


class LeaveAfter(pl.Callback):
    """Ends the run behind the given epoch, as if it had been interrupted there."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            trainer.should_stop = True


def fit(out: Path, *, leave_after: int = EPOCHS, resume: Path | None = None) -> Guest:
    """Train the guest; its ledger and, at the end, its checkpoint are in `out`."""
    pl.seed_everything(3, verbose=False)
    module = Guest()
    controller = autogrow.GrowthController(Planned(PLAN), net="body", example=EXAMPLE, seed=3, ledger=out)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        logger=False,
        callbacks=[controller, LeaveAfter(leave_after)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(out),
    )
    out.mkdir(parents=True, exist_ok=True)
    loaders = (DataLoader(table(96, 1), BATCH, shuffle=True), DataLoader(table(48, 2), BATCH))
    trainer.fit(module, *loaders, ckpt_path=None if resume is None else str(resume))
    trainer.save_checkpoint(out / CHECKPOINT)
    return module
