"""A fit that goes on from a checkpoint goes on as it would have gone on.

On each rank its random state, its sums of logged values, and where in an epoch it stood are put back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

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
from autogrow.train.record.checkpoint import CHECKPOINT_KEY


def write_sitting(trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
    """Add to a checkpoint what each rank needs to go on exactly as it would have gone on."""
    ranks = gathered(trainer, {"random": random_state(), "logged": logged(trainer)})
    checkpoint.setdefault(CHECKPOINT_KEY, {}).update(position=position(trainer), ranks=ranks)


class Resumption:
    """What is left to be done of a resume, from the reading of the checkpoint to the first batch that is trained."""

    def __init__(self) -> None:
        self._read: dict[str, Any] | None = None
        self._logged: Logged | None = None

    def read(self, trainer: pl.Trainer, checkpoint: dict[str, Any]) -> None:
        """Have the epoch finished that was not, and the random state of the moment."""
        ours = checkpoint.get(CHECKPOINT_KEY, {})
        if "ranks" not in ours:
            return
        where = ours["position"]
        if where == "last batch":
            where = finish_last_batch(checkpoint, trainer)
        ranks = ours["ranks"]
        mine = ranks[trainer.global_rank] if trainer.global_rank < len(ranks) else ranks[0]
        self._read = {"position": where, **mine}
        set_random_state(mine["random"])  # a loader that shuffles by the global state draws before training starts

    def begin(self, trainer: pl.Trainer, close_check: Callable[[], None]) -> bool:
        """Put back what Lightning left out, and finish a check that was cut off; False where nothing was read."""
        if self._read is None:
            return False
        resumed, self._read = self._read, None
        self._logged = Logged(resumed["logged"], trainer, resumed["position"])
        if resumed["position"] == "cut off":
            close_check()
        if resumed["position"] in ("cut off", "epoch end"):
            begin_next_epoch(trainer)
            step_plateaus(trainer, epochs_ended(trainer) - 1)
        if resumed["position"] in WITHIN_AN_EPOCH:
            set_random_state(resumed["random"])
        return True

    def after_batch(self, trainer: pl.Trainer) -> None:
        """Within an epoch, go on with its sums."""
        if self._logged is not None:
            self._logged.add_to(trainer)

    def epoch_ended(self) -> None:
        """The sums are whole."""
        self._logged = None


__all__ = ["Resumption", "write_sitting"]
