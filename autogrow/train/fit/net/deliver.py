"""What a run hands back: the grown net with its preprocessing, as one module that a checkpoint rebuilds by itself.

N rows, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from autogrow.data import Pipeline
from autogrow.errors import UsageError
from autogrow.evaluation.evaluate import answers
from autogrow.growth.modes import eval_mode
from autogrow.nets import MeanOfMembers
from autogrow.train.fit.net.kept import BEFORE_REFIT
from autogrow.train.fit.net.measure import outputs_of
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.record.checkpoint import read_checkpoint, save_atomically

if TYPE_CHECKING:
    import pandas as pd

PROBABILITIES = "probabilities"
"""Of members, what their mean is taken of; an older autogrow's nets, and values, have the mean of their outputs."""


class Delivered(nn.Module):
    """A grown net, ready for use: encoded rows in; logits in the order of `classes`, or targets in their units, out.

    `forward` takes what `encode` gives: (N, columns) for tables (for all-numeric ones the raw columns in order, but for
    those that 32-bit floats would round, such as Unix seconds: `encode` centres these first), (N, C, H, W) or flattened
    pixels for images. `predict`, `predict_proba` and `outputs` start from a raw table.
    """

    target_mean: Tensor
    target_std: Tensor
    path: Path | None = None
    """The checkpoint that it was loaded from."""
    threshold: float | None = None
    """Of two classes: the second is answered from this probability on; None: where it is the likelier."""
    prior: list[float] | None = None
    """Shares of the classes, or means of the targets, in training; None for a net of before this was written."""

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
        z: Tensor = self.net(self.preprocess(x.to(self.preprocess.mean.dtype)))
        return z if self.pipeline.target_scale is None else z * self.target_std + self.target_mean

    def encode(self, table: Any) -> Tensor:
        """A raw table (DataFrame, array or list of records with the training columns) → encoded rows (N, …)."""
        return self.pipeline.encoder.encode(table)

    @property
    def classes(self) -> list[Any]:
        """The class of each logit and of each column of `predict_proba`, in that order; empty for regression."""
        return list(self.pipeline.labels)

    def outputs(self, table: Any) -> Tensor:
        """A raw table → logits (N, O), or target values (N, O), computed in float64: a row's answer is the same,
        to 12 digits, whatever rows it comes with.
        """
        exact = copy.deepcopy(self).double()
        with eval_mode(exact):
            return outputs_of(lambda rows: exact(rows.double()), self.encode(table))

    def predict(self, table: Any) -> np.ndarray:
        """A raw table → class labels (N,), or target values (N,), (N, O) for several targets."""
        z = self.outputs(table)
        if self.pipeline.task == "classification":
            codes = answers(z.double().softmax(1).numpy(), self.threshold)
            labels: np.ndarray = np.asarray(self.pipeline.labels)[codes]
            return labels
        values: np.ndarray = z.numpy()
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, table: Any) -> np.ndarray:
        """A raw table → probabilities (N, O) in the order of `classes`. Raises UsageError for a net of values."""
        if self.pipeline.task != "classification":
            raise UsageError(
                "predict_proba is for classes; this net predicts values of " + ", ".join(self.pipeline.targets)
            )
        p: np.ndarray = self.outputs(table).softmax(1).numpy()
        return p

    def explain(self, table: Any, *, repeats: int = 5, seed: int = 0) -> pd.DataFrame:
        """Permutation importance of each column on a table that holds the targets too: see `explain_net`."""
        from autogrow.train.fit.net.explain import explain_net

        return explain_net(self, table, repeats=repeats, seed=seed)


def deliver(module: GrowingModule, pipeline: Pipeline) -> Delivered:
    """The module's weight average with the run's preprocessing, in eval mode on the CPU."""
    net = assemble(module.ema, module.delivery, pipeline).cpu().eval()
    net.threshold, net.prior = module.delivery.get("threshold"), module.delivery.get("prior")
    return net


def scale_logits(module: GrowingModule, factor: float) -> None:
    """A factor on the logits (an inverse temperature) that the delivered net is to have: in the head of its average.

    The same predictions, honest probabilities: the factor is the one that suits validation best (Guo et al. 2017, arXiv
    1706.04599). Label smoothing makes a net too modest; the many passes of a run too sure. Of members' mean
    probabilities it sharpens the mean, and is kept beside the weights.
    """
    if module.delivery.get("mean") == PROBABILITIES:
        module.delivery = {**module.delivery, "sharpness": factor}
        return
    head = module.ema.head
    assert isinstance(head, nn.Module)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(factor)


def delivered_content(
    module: GrowingModule, result: Mapping[str, Any], *, before_refit: Mapping[str, Tensor] | None = None
) -> dict[str, Any]:
    """The weight average as a checkpoint that `load` rebuilds with nothing else supplied.

    `before_refit`: the weights that validation judged, where the net has learned from validation rows since. A run that
    goes on from this one goes on from them: the others could no longer be judged by those rows.
    """
    content: dict[str, Any] = {
        "state_dict": {k: v.detach().cpu().clone() for k, v in module.ema.state_dict().items()},
        "result": dict(result),
    }
    if before_refit is not None:
        content[BEFORE_REFIT] = dict(before_refit)
    module.on_save_checkpoint(content)
    return content


def relabel(path: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write another `result` into a delivered net's checkpoint; what it holds now."""
    content = {**read_checkpoint(path), "result": dict(result)}
    save_atomically(content, path)
    return content


def assemble(net: nn.Module, delivery: Mapping[str, Any], pipeline: Pipeline) -> Delivered:
    """A net of ours with its preprocessing; `delivery`: what the checkpoint says of members."""
    if delivery["members"] == 1:
        return Delivered(net, pipeline)
    of = {"probabilities": delivery.get("mean") == PROBABILITIES, "sharpness": delivery.get("sharpness", 1.0)}
    return Delivered(MeanOfMembers(net, delivery["members"], **of), pipeline)


def example_rows(x: Tensor, members: int, *, rows: int = 2) -> Tensor:
    """The first rows (at least 2) of net input, as the net takes them: (rows, …), for a member net (M, rows, …)."""
    some = x[:rows].clone() if len(x) > 1 else x[:1].repeat(2, *[1] * (x.ndim - 1))
    return some if members == 1 else some.unsqueeze(0).repeat(members, *[1] * some.ndim)


__all__ = [
    "BEFORE_REFIT",
    "PROBABILITIES",
    "Delivered",
    "assemble",
    "deliver",
    "delivered_content",
    "example_rows",
    "relabel",
    "scale_logits",
]
