"""What one growth inside a running `Trainer.fit` costs, against a training step and an epoch.

    python scripts/growth_event.py [--steps 100] [--threads 1]

A user's own LightningModule (AdamW with a state, OneCycleLR, batch 128, 784 inputs) grows by GrowthController: one
widening and one deepening at about 0.1, 1 and 30 million parameters. The event is everything that happens between two
epochs: tracing, the operation and its receipt, optimizers and schedulers made anew, state carried over, the checks.
Times are medians of the three widenings (a net that is just so large is widened by an eighth), in milliseconds on the
CPU; an epoch has `--steps` steps.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import time
import warnings

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autogrow import GrowthController
from autogrow.policy.history import Decision, Deepen, Keep, Widen

INPUTS, BATCH = 784, 128
SIZES = {"0.1 M": (112, 112), "1 M": (640, 640), "30 M": (5000, 5000)}


class Lit(pl.LightningModule):
    """A plain net and a usual optimizer and schedule."""

    def __init__(self, widths: tuple[int, ...], steps: int) -> None:
        super().__init__()
        sizes = (INPUTS, *widths)
        stages = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.net, self.steps = nn.Sequential(*stages, nn.Linear(sizes[-1], 10)), steps

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def plan(history, options) -> Decision:
    """Three widenings by an eighth, then a layer."""
    if len(history) < 4:
        name, size = next(iter(options.widths.items()))
        return Decision(Widen({name: size + size // 8}), "planned")
    return Decision(Deepen(next(iter(options.depths))) if len(history) == 4 else Keep(), "planned")


class Timed(GrowthController):
    """Keeps the seconds of each event and of each step."""

    def on_fit_start(self, trainer, pl_module) -> None:
        self.events, self.steps_taken = [], []

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        began = time.perf_counter()
        super().on_train_epoch_start(trainer, pl_module)
        if self.event is not None:
            self.events.append(time.perf_counter() - began)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, trainer, pl_module, *rest) -> None:
        self.steps_taken.append(time.perf_counter() - self.began)
        super().on_train_batch_end(trainer, pl_module, *rest)


def measure(widths: tuple[int, ...], steps: int) -> tuple[int, float, float, float]:
    """Parameters at the start; milliseconds of a widening, a deepening and a step."""
    data = TensorDataset(torch.randn(BATCH * steps, INPUTS), torch.randint(0, 10, (BATCH * steps,)))
    fixed = {"train_loss": 1.0, "val_loss": 1.0}
    growth = Timed(plan, example=torch.randn(2, INPUTS), measure=lambda _: fixed)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=5, accelerator="cpu", devices=1, callbacks=[growth], **quiet)
    module = Lit(widths, 5 * steps)
    parameters = sum(p.numel() for p in module.parameters())
    trainer.fit(module, DataLoader(data, BATCH))
    *widenings, deepening = growth.events
    return parameters, 1e3 * statistics.median(widenings), 1e3 * deepening, 1e3 * statistics.median(growth.steps_taken)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=100, help="steps in an epoch")
    arguments.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning.*")
    print(f"torch {torch.__version__}, {chosen.threads} thread(s), batch {BATCH}, milliseconds")
    print(
        f"{'parameters':>12} {'widening':>9} {'deepening':>9} {'step':>8} {'in steps':>8} {f'of an epoch ({chosen.steps} steps)':>25}"
    )
    for name in chosen.sizes:
        parameters, widening, deepening, step = measure(SIZES[name], chosen.steps)
        share = widening / (step * chosen.steps)
        print(
            f"{parameters:>12,} {widening:>9.1f} {deepening:>9.1f} {step:>8.2f} {widening / step:>8.1f} {share:>25.1%}"
        )


if __name__ == "__main__":
    main()
