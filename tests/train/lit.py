"""Somebody's own LightningModule, loaders and trainer: what GrowthController has to live with.
No law is asserted here.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.optim import lr_scheduler as lrs
from torch.utils.data import DataLoader, TensorDataset

from autogrow.policy.history import Decision, Deepen, Keep, Widen
from autogrow.train.guest.controller import GrowthController

INPUTS, CLASSES, ROWS, BATCH = 6, 3, 64, 16
STEPS = ROWS // BATCH  # in an epoch
EXAMPLE = torch.randn(2, INPUTS, generator=torch.Generator().manual_seed(7))


def quiet() -> None:
    """Lightning's advice about loggers, workers and devices is not what these tests are about."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module=f"{name}.*")


class Net(nn.Module):
    """Linear-ReLU stages with dropout and a head."""

    def __init__(self, widths: tuple[int, ...] = (8,), p: float = 0.1) -> None:
        super().__init__()
        sizes = (INPUTS, *widths)
        self.body = nn.ModuleList(
            nn.Sequential(OrderedDict(lin=nn.Linear(a, b), act=nn.ReLU(), drop=nn.Dropout(p)))
            for a, b in itertools.pairwise(sizes)
        )
        self.head = nn.Linear(sizes[-1], CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.body:
            x = stage(x)
        return self.head(x)


class Lit(pl.LightningModule):
    """Two parameter groups, any optimizer, any scheduler; a part (`scale`) that does not grow."""

    def __init__(
        self, optimizer: str = "adamw", schedule: str = "none", steps: int = 36, p: float = 0.1, named: bool = False
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = Net(p=p)
        self.scale = nn.Parameter(torch.ones(CLASSES))

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.model(x) * self.scale, y)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch), sync_dist=True)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.loss(batch), sync_dist=True)

    def configure_optimizers(self) -> Any:
        h = self.hparams
        decayed = [p for p in self.parameters() if p.ndim > 1]
        rest = [p for p in self.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 1e-2}, {"params": rest, "weight_decay": 0.0}]
        if h.named:
            groups = [{**group, "name": name} for group, name in zip(groups, ("decayed", "rest"), strict=True)]
        if h.optimizer == "sgd":
            o = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
        else:
            o = torch.optim.AdamW(groups, lr=1e-2, amsgrad=True)
        if h.schedule == "none":
            return o
        return {"optimizer": o, "lr_scheduler": self.schedule(o)}

    def schedule(self, o: torch.optim.Optimizer) -> dict[str, Any]:
        steps = self.hparams.steps
        match self.hparams.schedule:
            case "onecycle":
                return {"scheduler": lrs.OneCycleLR(o, 1e-2, total_steps=steps), "interval": "step"}
            case "cosine":
                return {"scheduler": lrs.CosineAnnealingLR(o, 8)}
            case "lambda":
                return {"scheduler": lrs.LambdaLR(o, lambda step: 0.97**step), "interval": "step"}
            case "plateau":
                return {
                    "scheduler": lrs.ReduceLROnPlateau(o, patience=0, factor=0.5, threshold=0.3),
                    "monitor": "val_loss",
                }
            case "sequential":
                warm, cosine = lrs.LinearLR(o, 0.1, 1.0, 5), lrs.CosineAnnealingLR(o, steps)
                return {"scheduler": lrs.SequentialLR(o, [warm, cosine], [5]), "interval": "step"}
        raise AssertionError(self.hparams.schedule)


@dataclass(frozen=True)
class Planned:
    """A policy of fixed decisions: check → action."""

    plan: tuple[tuple[int, Any], ...]

    def __call__(self, history: Any, options: Any) -> Decision:
        action = dict(self.plan).get(history[-1].check, Keep())
        return Decision(action, f"planned at check {history[-1].check} (val loss {history[-1].val_loss:.4g})")


@dataclass(frozen=True)
class ByLoss:
    """A policy whose every decision hangs on the bits of the measured losses:
    a resume that measured otherwise would part.
    """

    cap: int = 24

    def __call__(self, history: Any, options: Any) -> Decision:
        now = history[-1]
        add = 1 + int(1e7 * (now.train_loss + now.val_loss)) % 3
        name, size = next(iter(options.widths.items()))
        if size + add > self.cap:
            return Decision(Keep(), "kept: at the cap")
        return Decision(Widen({name: size + add}), f"widened {size} by {add}")


GROW = Planned(((0, Widen({"body.0.lin": 12})), (2, Deepen("body.0.act")), (3, Widen({"body.0.lin": 15}))))


def data(rows: int = ROWS, seed: int = 0) -> TensorDataset:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, INPUTS, generator=g)
    return TensorDataset(x, (x[:, :3].sum(1).abs() + x[:, 3] * x[:, 4]).floor().long() % CLASSES)


class Stream:
    """All batches in memory, shuffled by (seed, epoch), and able to go on in the middle of an epoch."""

    def __init__(self, dataset: TensorDataset, seed: int = 0) -> None:
        self.tensors, self.seed, self.epoch, self.at, self._from = dataset.tensors, seed, 0, 0, 0
        self.sampler = self  # Lightning calls set_epoch on it

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.tensors[0]) / BATCH)

    def __iter__(self) -> Any:
        order = torch.randperm(
            len(self.tensors[0]), generator=torch.Generator().manual_seed(self.seed * 7919 + self.epoch)
        )
        start, self._from = self._from, 0
        for i in range(start, len(self)):
            self.at = i + 1
            rows = order[i * BATCH : (i + 1) * BATCH]
            yield [t[rows] for t in self.tensors]

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._from = state["at"] % len(self)


def loaders(kind: str = "stream") -> tuple[Any, Any]:
    """Train and val: 'stream' can go on within an epoch;
    'plain' shuffles by the global random state, as most people's do.
    """
    val = DataLoader(data(32, seed=1), 16)
    return (Stream(data()) if kind == "stream" else DataLoader(data(), BATCH, shuffle=True)), val


WHERE: dict[str, dict[str, Any]] = {
    "epoch end": {"save_on_train_epoch_end": True},
    "validation end": {"save_on_train_epoch_end": False},
    "mid-epoch and last batch": {"every_n_train_steps": 1},
}


def controller(policy: Any = GROW, **more: Any) -> GrowthController:
    return GrowthController(policy, **{"net": "model", "example": EXAMPLE, **more})


def trainer(
    folder: Path | str, callbacks: list[Any], *, where: str | None = None, epochs: int = 6, **more: Any
) -> pl.Trainer:
    """A quiet trainer on the CPU that keeps every checkpoint of one kind."""
    quiet()
    saver = []
    if where is not None:
        saver = [ModelCheckpoint(folder, filename="{epoch}-{step}", save_top_k=-1, **WHERE[where])]
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": epochs,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": bool(saver),
        "default_root_dir": str(folder),
    }
    return pl.Trainer(callbacks=[*callbacks, *saver], **{**settings, **more})


def fingerprint(run: pl.Trainer) -> str:
    """A hash of weights, optimizer state, groups, schedules, and the controller's rows."""
    digest = hashlib.sha256()
    module = run.lightning_module

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            digest.update(str((value.dtype, tuple(value.shape))).encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                digest.update(str(key).encode())
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        else:
            digest.update(repr(value).encode())

    add(dict(module.state_dict()))
    names = {p: n for n, p in module.named_parameters()}
    for optimizer in run.optimizers:
        add({names[p]: state for p, state in optimizer.state.items()})
        add([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
        add([[names[p] for p in group["params"]] for group in optimizer.param_groups])
    for config in run.lr_scheduler_configs:
        add({k: v for k, v in config.scheduler.state_dict().items() if k != "_schedulers"})
    for callback in run.callbacks:
        if isinstance(callback, GrowthController):
            add([row.comparable() for row in callback.rows])
        average = getattr(callback, "_average_model", None)
        if average is not None:
            add(dict(average.state_dict()))
    return digest.hexdigest()[:16]
