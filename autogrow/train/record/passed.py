"""The nets that a run passed through: one file for each growth, of the net as it was at the check that decided it.

Together they are about as large as the snapshots that `last.ckpt` holds: sizes grow by a factor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autogrow.train.record.checkpoint import CHECKPOINT_KEY, CHECKPOINT_VERSION, read_checkpoint, save_atomically
from autogrow.train.record.folder import CHECKPOINTS, PASSED

_NAME = re.compile(r"check-(\d+)\.ckpt")


def write_passed(folder: Path, check: int, snapshot: dict[str, Any]) -> None:
    """Keep the net of a check: weights, average, recipe, optimizer state and rate."""
    content = {CHECKPOINT_KEY: {"version": CHECKPOINT_VERSION}, "check": check, "snapshot": snapshot}
    save_atomically(content, folder / CHECKPOINTS / PASSED / f"check-{check}.ckpt")


def read_passed(folder: Path) -> Iterator[tuple[int, Path, dict[str, Any]]]:
    """The checks whose nets were kept, with their files and what these hold, in order; none for a run of before."""
    for check, path in _kept(folder):
        yield check, path, read_checkpoint(path)


def forget_passed(folder: Path, check: int) -> None:
    """Remove the nets of this check and of later ones."""
    for number, path in _kept(folder):
        if number >= check:
            path.unlink(missing_ok=True)


def _kept(folder: Path) -> list[tuple[int, Path]]:
    place = folder / CHECKPOINTS / PASSED
    if not place.is_dir():
        return []
    found = ((_NAME.fullmatch(path.name), path) for path in place.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)
