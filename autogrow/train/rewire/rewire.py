"""Change the net inside a running `Trainer.fit`, and reconnect everything that held on to its old parameters.

Only public Lightning calls. Widen, deepen, undo and the return to the best are all this one operation: unwrap DDP,
change the module, wrap again, make the optimizers anew (so that groups and order are the ones a resume will build),
place their state.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from autogrow.errors import GrowthError
from autogrow.train.rewire.both_lightnings import either


def check_strategy(trainer: pl.Trainer) -> None:
    """Raise GrowthError where a net cannot be changed while the strategy holds it."""
    strategy = trainer.strategy
    # a DDPStrategy by name only: it owns optimizer and parameters
    sharded = isinstance(strategy, either("strategies", "DeepSpeedStrategy"))
    if sharded or not isinstance(strategy, either("strategies", "SingleDeviceStrategy", "DDPStrategy")):
        raise GrowthError(
            f"a net cannot grow inside a running fit under {type(strategy).__name__}; train a stage, stop, grow the "
            "checkpoint, and fit again from it (staged growth gives the same net), or use strategy 'auto' or 'ddp'"
        )
    launcher = getattr(strategy, "launcher", None)
    if getattr(launcher, "_start_method", None) in ("spawn", "fork", "forkserver"):
        raise GrowthError("ddp_spawn and ddp_fork return weights into the net as it started; use strategy 'ddp'")


def rewire(trainer: pl.Trainer, change: Callable[[], Any], place_state: Callable[[], None] | None = None) -> Any:
    """Run `change`, which may replace any parameter of the module, and reconnect the trainer to what is there then.

    Returns what `change` returned. `place_state` runs once the new optimizers exist; without it they start afresh.
    `global_step` and `current_epoch` go on as they were.
    """
    check_strategy(trainer)
    strategy, module = trainer.strategy, trainer.lightning_module
    wrapped = strategy.model is not module
    if wrapped:
        strategy.model = module
        gc.collect()  # the old reducer's hooks die with the wrapper
    module.zero_grad(set_to_none=True)
    try:
        changed = change()
    finally:  # a change that is refused leaves the module as it was, and it trains on
        if wrapped:
            strategy.configure_ddp()  # type: ignore[attr-defined]  # checks shapes, sends rank 0's weights to all
    strategy.setup_optimizers(trainer)
    if place_state is not None:
        place_state()
    return changed
