"""`last.ckpt` while a run goes on: written at growths, at a change of phase, when the run is interrupted, and else at
most every few seconds: once per check would cost more than training a small net does. And the nets that the run passes
through, as they were before each growth.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytorch_lightning as pl

from autogrow.train.fit.net.snapshot import Snapshot
from autogrow.train.record.files import drafting
from autogrow.train.record.folder import CHECKPOINTS, LAST, PREVIOUS
from autogrow.train.record.passed import forget_passed, write_passed


class CheckpointWriter:
    """Writes `<folder>/checkpoints/last.ckpt`, keeping the one before it as `previous.ckpt`.
    With folder None: nothing.
    """

    def __init__(self, folder: Path | None, *, seconds: float) -> None:
        self.run_folder = folder
        self.folder = None if folder is None else folder / CHECKPOINTS
        self.seconds = seconds
        self._written_at = time.monotonic()

    def due(self) -> bool:
        """Whether the last one is old enough for another."""
        return self.folder is not None and time.monotonic() - self._written_at >= self.seconds

    def write(self, trainer: pl.Trainer) -> None:
        """Write `last.ckpt` now (every rank calls it; rank 0 writes)."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self.folder / LAST
        if trainer.is_global_zero:
            with drafting(self.folder) as draft:
                trainer.save_checkpoint(draft.path)
                if last.exists():
                    last.replace(self.folder / PREVIOUS)
                draft.put(last)
        else:
            trainer.save_checkpoint(last)  # its part of it
        self._written_at = time.monotonic()

    def keep(self, check: int, snapshot: Snapshot) -> None:
        """Keep the net of a check that decided a growth: a point of the run's front."""
        if self.run_folder is not None:
            write_passed(self.run_folder, check, snapshot)

    def forget_from(self, check: int) -> None:
        """Forget the nets of checks that a run which goes on takes anew."""
        if self.run_folder is not None:
            forget_passed(self.run_folder, check)
