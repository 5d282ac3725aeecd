"""The rows of a finished run read again from their source, with the marks that a run knows its rows by.

n rows, t targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autogrow.data.continued.marks import mark_rows
from autogrow.data.pipeline import Pipeline
from autogrow.data.raw import Raw
from autogrow.data.rules import checked
from autogrow.data.spec import DataSpec
from autogrow.data.streamed.reader import read_rows
from autogrow.data.target import Target
from autogrow.data.truth import has_truth, read_truth


@dataclass(frozen=True)
class ReadAgain:
    """Rows that have their targets: raw, the targets in the net's terms (n,) codes or (n, t) values, and marks (n,)."""

    raw: Raw
    y: np.ndarray
    marks: np.ndarray

    def table(self, rows: np.ndarray) -> Any:
        """The inputs of these rows (m,): a frame of the net's columns, or images."""
        return self.raw.x[rows] if isinstance(self.raw.x, np.ndarray) else self.raw.x.iloc[rows]


def read_again(spec: DataSpec, pipeline: Pipeline, way: str) -> ReadAgain:
    """Read what `spec` names for a net of this pipeline. way: how its run marks rows.

    Raises DataError where it is not there, or another table.
    """
    spec = checked(spec)
    spec = replace(spec, categorical=(*spec.categorical, *pipeline.categories))  # they stay the texts that they were
    raw = read_rows(spec, centred=pipeline.centred)
    y = read_truth(raw.y, pipeline)
    there = np.flatnonzero(has_truth(y))
    raw, y = replace(raw.take(there), test_rows=0), y[there]
    if not isinstance(raw.x, np.ndarray):
        raw = replace(raw, x=raw.x[[name for name in raw.x.columns if name in pipeline.columns]])
    target = Target(pipeline.task, y, tuple(pipeline.labels), tuple(pipeline.targets), "the net's")
    return ReadAgain(raw, y, mark_rows(pipeline.encoder, raw, target, way))
