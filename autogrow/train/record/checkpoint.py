"""Checkpoint files: written whole or not at all, and read without running any code of theirs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from autogrow.errors import CheckpointError
from autogrow.train.record.files import writing
from autogrow.train.record.folder import CHECKPOINTS, LAST, PREVIOUS

CHECKPOINT_KEY = "autogrow"
"""Where in a checkpoint stands what rebuilds its net."""

CHECKPOINT_VERSION = 1


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

    None where none was ever written: the run died before its first and starts over. Raises CheckpointError, naming
    each, where there are some and none is whole.
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
