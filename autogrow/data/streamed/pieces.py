"""A piece of a stream, ready for the net: rows as the pipeline of the first part has them.

n rows of the piece that have a target, t targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.columns import with_text_names, without_marks
from autogrow.data.pipeline import Pipeline
from autogrow.data.spec import DataSpec
from autogrow.data.target import codes_of
from autogrow.data.truth import has_truth, read_truth
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_MORE = "a larger one may have it: data.first_rows"


def truth_of(table: pd.DataFrame, pipeline: Pipeline, spec: DataSpec) -> np.ndarray:
    """The targets of a piece, as `read_truth` has them; a class is looked up once, however many rows have it.

    Raises DataError for a class that the first part has not, and for a missing target where these are refused.
    """
    import pandas as pd

    table = without_marks(with_text_names(table), spec.missing)
    if pipeline.task == "classification" and not pipeline.target_readings and pipeline.targets[0] in table.columns:
        column = table[pipeline.targets[0]]
        codes, found = pd.factorize(column)
        try:
            known = codes_of(pd.Series(found, name=column.name, dtype=object), pipeline.labels)
        except DataError as error:
            raise DataError(f"{str(error).partition(' in row ')[0]} that the first part has not; {_MORE}") from None
        y = np.append(known, -1)[codes]
    else:
        y = read_truth(table, pipeline)
    gaps = np.flatnonzero(~has_truth(y))
    if len(gaps) and spec.missing_target == "refuse":
        raise DataError(f"target {pipeline.targets[0]!r} is missing in {len(gaps)} rows (data.missing_target=refuse)")
    return y


def ready(table: Any, y: np.ndarray, pipeline: Pipeline, spec: DataSpec) -> tuple[Tensor, Tensor]:
    """Inputs (n, D) and targets (n,) or (n, t) of the rows of a piece, each of which has a target."""
    x = pipeline.inputs(without_marks(with_text_names(table)[list(pipeline.columns)], spec.missing))
    targets = torch.from_numpy(y)
    if pipeline.target_scale is not None:
        mean, std = (scale.double() for scale in pipeline.target_scale)
        targets = ((targets - mean) / std).float()
    return x, targets
