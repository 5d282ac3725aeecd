"""Which columns an answer hangs on: permutation importance, by scikit-learn, on rows that were not trained on.

N rows, C columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor

from autogrow.data.encode import TableEncoder
from autogrow.data.splits import PARTS
from autogrow.data.truth import has_truth, mark_truth, read_truth
from autogrow.errors import DataError
from autogrow.train.record.folder import read_split

if TYPE_CHECKING:
    import pandas as pd

    from autogrow.data import Pipeline

ROWS = 2000  # as many as a check looks at; more only make it slower


class Answering(Protocol):
    """What is explained: `Delivered`."""

    pipeline: Pipeline
    path: Path | None

    def outputs(self, table: Any) -> Tensor:
        """A raw table → logits, or target values (N, O)."""
        ...


def explain_net(net: Answering, table: pd.DataFrame, *, repeats: int = 5, seed: int = 0) -> pd.DataFrame:
    """How much worse the net becomes where a column's values are shuffled among the rows (Breiman 2001).

    `table` (N, …) holds the inputs and the targets. Of the table that the net was trained on its validation rows are
    taken, of any other all; at most 2,000. Returns a frame with the columns `column`, `importance` (by how much the log
    loss, or the rmse in the target's units, rises: the mean over `repeats` shuffles) and `std`, largest first. Columns
    that tell the same share what they are worth, or one hides the other. Raises DataError for images, and for a table
    without the targets.
    """
    import pandas as pd
    from sklearn.inspection import permutation_importance

    pipeline = net.pipeline
    encoder = pipeline.encoder
    if not isinstance(encoder, TableEncoder):
        raise DataError("explain is for tables; the inputs of this net are images")
    y = read_truth(table, pipeline)
    rows = _to_judge_by(net, table, y)
    x, y = table[list(encoder.columns)].iloc[rows], y[rows]
    found = permutation_importance(_Fitted(net), x, y, scoring=_scored, n_repeats=repeats, random_state=seed)
    answer = pd.DataFrame(
        {"column": list(encoder.columns), "importance": found.importances_mean, "std": found.importances_std}
    )
    return answer.sort_values("importance", ascending=False, ignore_index=True)


def _to_judge_by(net: Answering, table: pd.DataFrame, y: np.ndarray) -> np.ndarray:
    """Which rows (B,) of a table importance is measured on: none that the net learned from, as far as that is known."""
    there = np.flatnonzero(has_truth(y))
    known = None if net.path is None else read_split(net.path)
    if known is not None and len(there):
        part = known.parts_of(mark_truth(table.iloc[there], y[there], net.pipeline, known.way))
        val = there[part == PARTS.index("val")]
        there = val if len(val) else there[part != PARTS.index("train")]
    if not len(there):
        raise DataError("explain needs rows with a target that the net was not trained on; the table has none")
    return there if len(there) <= ROWS else np.sort(np.random.default_rng(0).choice(there, ROWS, replace=False))


class _Fitted:
    """The net as scikit-learn wants an estimator to look: it is fitted already."""

    def __init__(self, net: Answering) -> None:
        self.net = net

    def fit(self) -> None:
        """Nothing is left to do."""


def _scored(fitted: _Fitted, table: pd.DataFrame, y: np.ndarray) -> float:
    from sklearn.metrics import log_loss, root_mean_squared_error

    net = fitted.net
    if net.pipeline.task == "classification":
        return -float(log_loss(y, net.outputs(table).softmax(1).numpy(), labels=range(net.pipeline.outputs)))
    return -float(root_mean_squared_error(y, net.outputs(table).numpy()))
