"""From a run folder or a checkpoint to its net, with nothing else given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from autogrow.data import Pipeline
from autogrow.errors import CheckpointError, GrowthError
from autogrow.growth import replay
from autogrow.train.fit.net.build import rebuild
from autogrow.train.fit.net.deliver import Delivered, assemble
from autogrow.train.fit.net.kept import load_weights, naming, ours_of, rebuilt, weights_of
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, numbers_held, read_checkpoint
from autogrow.train.record.folder import checkpoint_of


def load(path: str | Path, net: nn.Module | None = None) -> nn.Module:
    """Rebuild the grown net of a run folder or a checkpoint.

    `path`: the folder of a finished run, its `best.ckpt` (the same: what it delivers), or a `last.ckpt` (its weight
    average at that moment): a `Delivered`, preprocessing included. Or a checkpoint of your own module grown by
    `GrowthController`, with `net` a fresh instance of its net as it was before growth: that instance, grown. Returns a
    module in eval mode on the CPU.

    Raises CheckpointError, in one line, for a file that is not one of ours, is damaged, is of another version, or whose
    weights do not fit its recipe.
    """
    path = checkpoint_of(path)
    loaded = from_content(read_checkpoint(path), path, net)
    if isinstance(loaded, Delivered):
        loaded.path = path
    return loaded


def from_content(content: Mapping[str, Any], path: str | Path, net: nn.Module | None = None) -> nn.Module:
    """`load`, for a checkpoint that has been read from `path`."""
    ours = ours_of(path, content)
    if "path" in ours:
        return _load_own(path, content, net)
    delivery = ours["delivery"]
    with naming(path):
        if net is None:
            grown = rebuilt(ours, ours["recipe"], weights_of(content))
        else:
            grown = rebuild(ours["builder"], ours["recipe"], delivery["example"], net=net)
            load_weights(grown, weights_of(content))
        pipeline = Pipeline.from_state(delivery["pipeline"])
    delivered = assemble(grown, delivery, pipeline).eval()
    delivered.threshold, delivered.prior = delivery.get("threshold"), delivery.get("prior")
    return delivered


def _load_own(path: str | Path, content: Mapping[str, Any], net: nn.Module | None) -> nn.Module:
    """The net of somebody's own module, from the checkpoint that GrowthController's record is in."""
    ours = content[CHECKPOINT_KEY]
    if net is None:
        raise CheckpointError(
            f"{path} holds a net of your own class ({ours['builder']['net']} at {ours['path']!r}): give a fresh instance, load(path, net=…)"
        )
    prefix = f"{ours['path']}."
    weights = {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}
    try:
        replay(net, ours["recipe"], holds=numbers_held(weights))
    except GrowthError as error:
        raise CheckpointError(f"{path}: its growths do not fit the net given: {error}") from None
    with naming(path):
        load_weights(net, {k.removeprefix("_orig_mod."): v for k, v in weights.items()})
    return net.eval()
