"""What people train with, one cell each: the net grows wider, deeper, goes back, anneals, and every check is there."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from autogrow.growth import check_optimizer
from autogrow.policy import Finish
from autogrow.policy.history import Anneal, Decision, Deepen, Keep, Stop, Undo, Widen

sys.path.insert(0, str(Path(__file__).parent))
from lit import BATCH, Lit, controller, data, trainer


@dataclass(frozen=True)
class Everything:
    """All that a policy may decide, one after the other."""

    needs: ClassVar[frozenset[str]] = frozenset({"undo"})
    finish: Finish = field(default_factory=Finish)

    def __call__(self, history, options):
        now = history[-1].check
        plan = {
            0: Widen({"body.0.lin": 12}),
            1: Deepen("body.0.drop"),
            2: Undo(1),
            3: Widen({"body.0.lin": 16}),
            4: Anneal(4, 2 * options.steps_per_check),
            6: Stop(),
        }
        return Decision(plan.get(now, Keep()), f"planned at check {now}")


class Endless(IterableDataset):
    """Rows of no known number."""

    def __iter__(self):
        yield from data()


class ManyLoaders(Lit):
    """Two training loaders side by side, two validation loaders one after the other."""

    def training_step(self, batch, batch_idx):
        return super().training_step([torch.cat(pair) for pair in zip(*batch.values(), strict=True)], batch_idx)

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        super().validation_step(batch, batch_idx)


class Compiled(Lit):
    """Its net is compiled."""

    def __init__(self):
        super().__init__(p=0.0)
        self.model = torch.compile(self.model, backend="eager")


def plain(batch=BATCH):
    return DataLoader(data(), batch, shuffle=True)


def two_streams():
    return {"a": plain(), "b": plain()}


BF16, DDP = {"precision": "bf16-mixed"}, {"strategy": "ddp"}
# module, training loaders, settings of the trainer, options of the controller, callbacks
CELLS = {
    "plain": (Lit, plain, {}, {}, []),
    "iterable": (Lit, lambda: DataLoader(Endless(), BATCH), {}, {}, []),
    "max_steps": (Lit, plain, {"max_epochs": -1, "max_steps": 4 * 9}, {}, []),
    "several loaders": (ManyLoaders, two_streams, {}, {"val_monitor": "val_loss/dataloader_idx_1"}, []),
    "val_check_interval": (Lit, plain, {"val_check_interval": 0.5}, {}, []),
    "every other epoch": (Lit, plain, {"check_val_every_n_epoch": 2, "max_epochs": 18}, {}, []),
    "accumulation": (Lit, plain, {"accumulate_grad_batches": 2}, {}, []),
    "clipping": (Lit, plain, {"gradient_clip_val": 0.5}, {}, []),
    "ema": (Lit, plain, {}, {}, [lambda: EMAWeightAveraging(decay=0.9)]),
    "compile": (Compiled, plain, {}, {}, []),
    "bf16": (Lit, plain, BF16, {}, []),
    "ddp": (Lit, plain, DDP, {}, []),
    "bf16, accumulation, ema": (Lit, plain, {**BF16, "accumulate_grad_batches": 3}, {}, [EMAWeightAveraging]),
    "ddp, compile": (Compiled, plain, DDP, {}, []),
    "fresh": (Lit, plain, {}, {"optimizer_state": "fresh"}, []),
    "reset": (Lit, plain, {}, {"optimizer_state": "reset"}, []),
}


@pytest.fixture
def alone(monkeypatch):
    """A DDP of one process, which Lightning leaves standing, ends with its test: others are not of many devices."""
    monkeypatch.setenv("MASTER_PORT", "29517")
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.usefixtures("alone")
def test_a_whole_life_under(tmp_path, name):
    make, train, settings, options, callbacks = CELLS[name]
    pl.seed_everything(3, verbose=False)
    val = DataLoader(data(32, seed=1), 16)
    run = trainer(
        tmp_path, [controller(Everything(), **options), *(c() for c in callbacks)], **{"epochs": 9, **_epochs(settings)}
    )
    run.fit(make(), train(), [val, val] if make is ManyLoaders else val)
    rows = run.callbacks[0].rows
    assert [row.check for row in rows] == list(range(7))
    assert [row.event.do for row in rows if row.event] == ["widen", "deepen", "undo", "widen", "anneal"]
    assert all(not row.refused and row.finite() for row in rows)
    receipts = [row.event.receipt["max_abs_change"] for row in rows if row.event and row.event.receipt]
    assert len(receipts) == 3
    assert max(receipts) < 1e-9
    steps = [row.step for row in rows]
    assert steps == sorted(set(steps))
    assert rows[3].widths == {"body.0.lin": 12}
    assert rows[4].widths == {"body.0.lin": 16}
    module = run.lightning_module
    optimizer = run.optimizers[0]
    check_optimizer(optimizer, module)
    assert all(group["lr"] < 0.3 * 0.01 for group in optimizer.param_groups)  # at the end of the anneal
    assert isinstance(module.model, nn.Module)


def _epochs(settings):
    given = dict(settings)
    return {"epochs": given.pop("max_epochs", 9), **given}
