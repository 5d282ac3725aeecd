"""How far a run is, read from the end of its ledger, without loading it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from autogrow.plain import Amount, Count, NotPlainError, Positive, check, read_json
from autogrow.train.record.folder import LEDGER, is_complete, read_result

_TAIL = 1 << 16  # bytes; a row takes one to three thousand
_SHOWN = ("task", "widths", "val", "train_flops", "seconds")


class Shown(TypedDict):
    """What of a row is shown."""

    check: Count
    passes: Amount
    val_loss: float | None
    widths: Mapping[str, Positive]
    phase: str


@dataclass(frozen=True)
class Progress:
    """The last check of a run: how many checks and passes there were, and what was measured."""

    checks: int
    passes: float
    val_loss: float | None
    widths: dict[str, int]
    phase: str


def read_progress(folder: Path) -> Progress | None:
    """The last whole row of a run's ledger; None before its first check."""
    try:
        with (folder / LEDGER).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    if len(lines) < 2:  # what stands behind the last line end is still being written
        return None
    try:
        row = read_json(lines[-2])
        check(row, Shown)
    except NotPlainError:
        return None  # a row longer than the tail, or not one of ours
    return Progress(row["check"] + 1, row["passes"], row["val_loss"], row["widths"], row["phase"])


def result_of(folder: Path) -> dict[str, Any] | None:
    """What a finished run found; None for one that is not finished. Raises CheckpointError for one that is not ours."""
    return read_result(folder, _SHOWN) if is_complete(folder) else None
