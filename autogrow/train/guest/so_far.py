"""What has happened since the last check of somebody else's run: rows trained on and validated on, seconds."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from autogrow.train.guest.monitors import rows_in


class SoFar:
    """Counts of the check that is under way, of all ranks together; `validated`: whether it has had a validation."""

    def __init__(self) -> None:
        self.rows = {"train": 0, "val": 0}
        self.validated = False
        self._seconds_before, self._started = 0.0, time.perf_counter()

    def go_on(self) -> None:
        """A sitting begins: seconds count from now on."""
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """Seconds of training so far, earlier sittings included."""
        return self._seconds_before + time.perf_counter() - self._started

    def saw(self, which: str, batch: Any, trainer: pl.Trainer) -> int:
        """Count a batch of 'train' or 'val'; answers with its rows on this rank."""
        rows = rows_in(batch)
        self.rows[which] += rows * trainer.world_size
        return rows

    def close(self) -> None:
        """A check ends; the next begins."""
        self.rows, self.validated = {"train": 0, "val": 0}, False

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {"rows_seen": dict(self.rows), "validated": self.validated, "seconds": self.seconds()}

    def load(self, plain: dict[str, Any]) -> None:
        """The inverse of `to_plain`."""
        self.rows, self.validated = dict(plain["rows_seen"]), plain["validated"]
        self._seconds_before = plain["seconds"]


__all__ = ["SoFar"]
