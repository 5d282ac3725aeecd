"""Checkpoint files: written whole or not at all, and read without running any code of theirs."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from autogrow.errors import CheckpointError
from autogrow.plain import DEEPEST, NotPlainError
from autogrow.train.record.files import writing
from autogrow.train.record.folder import CHECKPOINTS, LAST, PREVIOUS

CHECKPOINT_KEY = "autogrow"
"""Where in a checkpoint stands what rebuilds its net."""

CHECKPOINT_VERSION = 1

_DAMAGED = (
    AttributeError,
    TypeError,
    IndexError,
    OverflowError,
    AssertionError,
    MemoryError,
    struct.error,
    RecursionError,
)
"""What else unpickling ends with where the pickle is not one that torch.save has written."""


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
    except _DAMAGED as error:
        raise CheckpointError(f"{damaged} ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a checkpoint of autogrow")
    try:
        for tensor in tensors_in(content):
            check_tensor(tensor)
    except NotPlainError as error:
        raise CheckpointError(f"{path} {error}") from None
    return content


def tensors_in(content: Any) -> Iterator[Tensor]:
    """Every tensor in plain containers. Raises NotPlainError where they nest too deep."""
    level = [content]
    for _ in range(DEEPEST):
        yield from (one for one in level if isinstance(one, Tensor))
        level = [below for one in level for below in _below(one)]
        if not level:
            return
    raise NotPlainError("nests its values too deep")


def check_tensor(tensor: Tensor) -> None:
    """Raise NotPlainError for a tensor that is not all there: what is made of it would be larger than the file."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    held = tensor.untyped_storage().nbytes() if plain else 0
    if not plain or tensor.numel() * tensor.element_size() > held:
        raise NotPlainError(f"holds a tensor of shape {list(tensor.shape)} that is not all there")


def numbers_held(weights: Mapping[str, Any]) -> int:
    """How many numbers tensors hold: no net that fits them has more."""
    stores = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() // t.element_size() for t in weights.values()
    }
    return sum(stores.values())


def _below(one: Any) -> Iterable[Any]:
    return one.values() if isinstance(one, Mapping) else one if isinstance(one, (list, tuple, set)) else ()


Checked = TypeVar("Checked")


def newest_whole(
    folder: Path, check: Callable[[Path, dict[str, Any]], Checked]
) -> tuple[Path | None, Checked | None, list[str]]:
    """The newest checkpoint of a run folder that loads, what `check` makes of its content, and a line for each newer
    one that does not load.

    `check` raises CheckpointError for one that loads and is not what was written.
    None where none was ever written: the run died before its first and starts over. Raises CheckpointError, naming
    each, where there are some and none is whole.
    """
    complaints: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / CHECKPOINTS / name
        if not path.exists():
            continue
        try:
            return path, check(path, read_checkpoint(path)), complaints
        except CheckpointError as error:
            complaints.append(str(error))
    if complaints:
        raise CheckpointError("; ".join([f"{folder} holds no checkpoint to resume from", *complaints]))
    return None, None, []
