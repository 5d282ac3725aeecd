"""What a run hands back: the grown net with its preprocessing, as one module that a checkpoint rebuilds by itself.

N rows, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autogrow.data import Pipeline
from autogrow.errors import CheckpointError, GrowthError
from autogrow.growth import replay
from autogrow.growth.modes import eval_mode
from autogrow.nets import MeanOfMembers
from autogrow.train.fit.net.build import rebuild
from autogrow.train.fit.net.kept import load_weights, naming, ours_of, rebuilt, weights_of
from autogrow.train.fit.net.measure import best_inverse_temperature, outputs_of
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, numbers_held, read_checkpoint, save_atomically


class Delivered(nn.Module):
    """A grown net, ready for use: encoded rows in; logits, or targets in their own units, out.

    `forward` takes what `encode` gives: (N, columns) for tables (for all-numeric ones the raw columns in order),
    (N, C, H, W) or flattened pixels for images. `predict` goes from a raw table to class labels or target values.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, net: nn.Module, pipeline: Pipeline) -> None:
        super().__init__()
        self.preprocess = pipeline.preprocess
        self.net = net
        self.pipeline = pipeline
        if pipeline.target_scale is not None:
            mean, std = pipeline.target_scale
            self.register_buffer("target_mean", mean.clone(), persistent=False)
            self.register_buffer("target_std", std.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Encoded rows (N, …), images also flattened → logits (N, O), or target values (N, O) for regression."""
        shape = self.pipeline.input_shape
        if len(shape) > 1:
            x = x.reshape(len(x), *shape)
        z: Tensor = self.net(self.preprocess(x.float()))
        return z if self.pipeline.target_scale is None else z * self.target_std + self.target_mean

    def encode(self, table: Any) -> Tensor:
        """A raw table (DataFrame, array or list of records with the training columns) → encoded rows (N, …)."""
        return self.pipeline.encoder.encode(table)

    def predict(self, table: Any) -> np.ndarray:
        """A raw table → class labels (N,), or target values (N,), (N, O) for several targets."""
        with eval_mode(self):
            z = outputs_of(self, self.encode(table))
        if self.pipeline.task == "classification":
            labels: np.ndarray = np.asarray(self.pipeline.labels)[z.argmax(1).numpy()]
            return labels
        values: np.ndarray = z.numpy()
        return values[:, 0] if values.shape[1] == 1 else values


def deliver(module: GrowingModule, pipeline: Pipeline) -> Delivered:
    """The module's weight average with the run's preprocessing, in eval mode on the CPU."""
    return _assemble(module.ema, module.spec.net.members, pipeline).cpu().eval()


def calibrate(net: nn.Module, outputs: Tensor, y: Tensor) -> float:
    """Fold the temperature that suits validation best into the head: the same predictions, honest probabilities.

    `net`: a net of ours, changed in place; `outputs` (N, O) its logits on validation, `y` (N,) the classes. Returns the
    factor on the logits (Guo et al. 2017, arXiv 1706.04599). Label smoothing makes a net too modest; the many passes of
    a run too sure.
    """
    factor = best_inverse_temperature(outputs, y)
    head = net.head
    assert isinstance(head, nn.Module)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(factor)
    return factor


def save_delivered(module: GrowingModule, folder_path: Path, result: Mapping[str, Any]) -> None:
    """Write the weight average as a checkpoint that `load` rebuilds with nothing else supplied."""
    content = {
        "state_dict": {k: v.detach().cpu().clone() for k, v in module.ema.state_dict().items()},
        "result": dict(result),
    }
    module.on_save_checkpoint(content)
    save_atomically(content, folder_path)


def relabel(path: Path, result: Mapping[str, Any]) -> None:
    """Write another `result` into a delivered net's checkpoint."""
    save_atomically({**read_checkpoint(path), "result": dict(result)}, path)


def load(path: str | Path, net: nn.Module | None = None) -> nn.Module:
    """Rebuild the grown net of a checkpoint.

    `path`: a run's `best.ckpt` (what it delivers) or `last.ckpt` (its weight average at that moment): a `Delivered`,
    preprocessing included. Or a checkpoint of your own module grown by `GrowthController`, with `net` a fresh instance
    of its net as it was before growth: that instance, grown. Returns a module in eval mode on the CPU.

    Raises CheckpointError, in one line, for a file that is not one of ours, is damaged, is of another version, or whose
    weights do not fit its recipe.
    """
    content = read_checkpoint(path)
    ours = ours_of(path, content)
    if "path" in ours:
        return _load_own(path, content, net)
    with naming(path):
        if net is None:
            grown = rebuilt(ours, ours["recipe"], weights_of(content))
        else:
            grown = rebuild(ours["builder"], ours["recipe"], ours["delivery"]["example"], net=net)
            load_weights(grown, weights_of(content))
        pipeline = Pipeline.from_state(ours["delivery"]["pipeline"])
    return _assemble(grown, ours["delivery"]["members"], pipeline).eval()


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


def _assemble(net: nn.Module, members: int, pipeline: Pipeline) -> Delivered:
    return Delivered(net if members == 1 else MeanOfMembers(net, members), pipeline)


def example_rows(x: Tensor, members: int, *, rows: int = 2) -> Tensor:
    """The first rows (at least 2) of net input, as the net takes them: (rows, …), for a member net (M, rows, …)."""
    some = x[:rows].clone() if len(x) > 1 else x[:1].repeat(2, *[1] * (x.ndim - 1))
    return some if members == 1 else some.unsqueeze(0).repeat(members, *[1] * some.ndim)


__all__ = ["Delivered", "calibrate", "deliver", "example_rows", "load", "relabel", "save_delivered"]
