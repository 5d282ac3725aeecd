"""Two processes on gloo, started by test_ddp.py: run a list of fits, and print what each rank came to.
`ddp_run.py FOLDER`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch.utils.data import DataLoader, DistributedSampler

sys.path.insert(0, str(Path(__file__).parent))
from lit import BATCH, GROW, ByLoss, Lit, Planned, controller, data, fingerprint, trainer

from autogrow.errors import AutogrowError
from autogrow.policy.history import Widen
from autogrow.train.guest import reconnect
from autogrow.train.rewire.invariants import check_ranks, parameter_hash

RANK = int(os.environ.get("LOCAL_RANK", "0"))


class Compare(pl.Callback):
    """Whether the ranks hold the same parameters at each epoch's end."""

    def __init__(self) -> None:
        self.agree: list[bool] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.agree.append(len(set(gathered(parameter_hash([pl_module])))) == 1)


class NeverAgain(DDPStrategy):
    """Wraps the module once only: the mistake of growing without wrapping again."""

    def configure_ddp(self) -> None:
        if not hasattr(self, "first"):
            super().configure_ddp()
            self.first = self.model
        self.model = self.first


def own_opinion(history: Any, options: Any) -> Any:
    """A decision that each rank would take differently."""
    return Planned(((0, Widen({"body.0.lin": options.widths["body.0.lin"] + 2 + RANK})),))(history, options)


def gathered(mine: Any) -> list[Any]:
    both: list[Any] = [None, None]
    torch.distributed.all_gather_object(both, mine)
    return both


def fit(folder: Path, policy: Any, *, seed: int = 3, blind: bool = False, ckpt: Path | None = None) -> dict[str, Any]:
    """One fit of five epochs; `blind`: without wrapping again."""
    pl.seed_everything(seed + 17 * RANK, verbose=False)  # the ranks are seeded differently
    module, compare = Lit("adamw", "onecycle", steps=30), Compare()
    # with unused parameters allowed DDP says nothing about those it no longer sees
    kind = NeverAgain if blind else DDPStrategy
    strategy = kind(process_group_backend="gloo", find_unused_parameters=blind)
    where = "mid-epoch and last batch" if ckpt is None else None
    run = trainer(folder, [controller(policy), compare], where=where, epochs=5, devices=2, strategy=strategy)
    train, val = data(), data(32, seed=1)
    # Lightning's own sampler is seeded by the global seed, which differs here between ranks and between sittings
    loaders = (
        DataLoader(train, BATCH, sampler=DistributedSampler(train, 2, RANK, seed=0)),
        DataLoader(val, BATCH, sampler=DistributedSampler(val, 2, RANK, shuffle=False)),
    )
    try:
        run.fit(module, *loaders, ckpt_path=ckpt, weights_only=None if ckpt is None else True)
    except AutogrowError as error:
        return {"error": str(error)}
    return {"fingerprint": fingerprint(run), "agree": compare.agree, "widths": run.callbacks[0].rows[-1].widths}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    results = {"whole": fit(folder / "whole", ByLoss())}
    (last_batch,) = (folder / "whole").glob("*-step=4.ckpt")
    results["resumed"] = fit(folder / "resumed", ByLoss(), seed=99, ckpt=last_batch)
    results["own opinion"] = fit(folder / "own", own_opinion)
    results["blind, checked"] = fit(folder / "checked", GROW, blind=True)
    reconnect.check_ranks = lambda trainer, nets: None  # it would stop the run that shows why it is there
    results["blind"] = fit(folder / "blind", GROW, blind=True)
    reconnect.check_ranks = check_ranks
    both = gathered(results)
    if RANK == 0:
        print("RESULT", json.dumps(both))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
