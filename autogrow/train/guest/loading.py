"""Loading checkpoints of modules that have grown.

By `load_from_checkpoint`, where the class says that it grows; or into an instance. A class that says nothing is told
the line to write, where Lightning alone would list every tensor whose size is another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info

from autogrow.errors import CheckpointError
from autogrow.train.guest.architecture import read_into, record_of
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, read_checkpoint
from autogrow.train.rewire.both_lightnings import either

if TYPE_CHECKING:
    _Mixed = pl.LightningModule
else:
    _Mixed = object  # it is mixed with the LightningModule of either package


class Growable(_Mixed):
    """Mixin for modules whose grown checkpoints are to be loaded by `load_from_checkpoint`:
    `class Lit(Growable, LightningModule)`, with the `LightningModule` of either package.

    Needed for nothing else. A module that has checkpoint hooks of its own calls `super()` in them.
    """

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the net."""
        super().on_save_checkpoint(checkpoint)
        record = record_of(self)
        if record is not None:
            record.write(checkpoint, self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rebuild the checkpoint's net before weights are loaded."""
        read_into(self, checkpoint)
        super().on_load_checkpoint(checkpoint)


def load_grown(module: pl.LightningModule, path: str | Path) -> pl.LightningModule:
    """Load a grown checkpoint into a module as it was before growth; answers with the module.

    `module`: a fresh instance with the starting net. Raises CheckpointError, in one line, for a file that is not a
    whole checkpoint or does not fit.
    """
    checkpoint = read_checkpoint(path)
    read_into(module, checkpoint)
    if "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} is incomplete: it has no 'state_dict'")
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} does not fit {type(module).__name__}: {str(error).splitlines()[-1].strip()}"
        ) from None
    return module


def say_how_to_load(module: pl.LightningModule) -> None:
    """Once, at the first growth: `load_from_checkpoint` builds the module by itself, as it started."""
    name, record = type(module).__name__, record_of(module)
    if not isinstance(module, Growable) and record is not None and len(record.recipe) == 1:
        rank_zero_info(
            f"autogrow: its checkpoints are loaded by autogrow.load_grown({name}(…), path); for "
            f"{name}.load_from_checkpoint write class {name}(Growable, …), with autogrow.Growable"
        )


def tell_plain_classes() -> None:
    """Have every module that has no hook of its own refuse a grown checkpoint, in both packages, in one line.

    Lightning's own hook, in whose place this stands, does nothing.
    """
    for module in either("core.module", "LightningModule"):
        module.on_load_checkpoint = _refuse_grown


def _refuse_grown(module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
    """Called by Lightning before it loads weights; raises CheckpointError for those of a net that has grown."""
    name, ours = type(module).__name__, checkpoint.get(CHECKPOINT_KEY)
    if record_of(module) is None and isinstance(ours, dict) and ours.get("recipe"):
        raise CheckpointError(
            f"the checkpoint holds a net that has grown since {name}() made it: write class {name}(Growable, …), with "
            f"autogrow.Growable, or load it by autogrow.load_grown({name}(…), path)"
        )


__all__ = ["Growable", "load_grown", "say_how_to_load", "tell_plain_classes"]

tell_plain_classes()
