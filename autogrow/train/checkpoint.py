"""Checkpoints on disk: `last.ckpt` to go on from, `best.ckpt` to use. Each is whole or is not there.

`last.ckpt` is written at growths, at a change of phase, when the run is
interrupted, and else at most every few seconds: once per check would cost more than training a small net does.
"""

from __future__ import annotations

import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from autogrow.errors import CheckpointError
from autogrow.train.record.files import drafting, writing
from autogrow.train.record.folder import CHECKPOINTS, LAST, PREVIOUS


class CheckpointWriter:
    """Writes `<folder>/checkpoints/last.ckpt`, keeping the one before it as `previous.ckpt`. With folder None: nothing."""

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


def save_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """torch.save, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        torch.save(checkpoint, file)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint's plain content onto the CPU, refusing any pickle that needs more than plain data and tensors.

    Raises CheckpointError, in one line, for a file that is missing, cut short, not a checkpoint, or unsafe.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    damaged = f"{path} is not a whole checkpoint (cut short, damaged, or another kind of file)"
    if not zipfile.is_zipfile(path):  # what torch.save writes is a zip archive, whose directory stands at its end
        raise CheckpointError(damaged)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path} needs code to be unpickled, not only tensors and plain data: refused") from None
    except (RuntimeError, EOFError, ValueError, KeyError):
        raise CheckpointError(damaged) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a checkpoint of autogrow")
    return content


def newest_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint of a run folder that loads, and a line for each newer one that does not.

    None where none was ever written: the run died before its first and starts over. Raises CheckpointError, naming each,
    where there are some and none is whole.
    """
    complaints = []
    for name in (LAST, PREVIOUS):
        path = folder / CHECKPOINTS / name
        if not path.exists():
            continue
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            complaints.append(str(error))
        else:
            return path, complaints
    if complaints:
        raise CheckpointError("; ".join([f"{folder} holds no checkpoint to resume from", *complaints]))
    return None, []
