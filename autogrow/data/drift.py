"""How far rows that a finished net is asked about are from those that it learned from.

n rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autogrow.data.as_text import coded
from autogrow.data.encode import TableEncoder
from autogrow.data.pipeline import Pipeline

if TYPE_CHECKING:
    import pandas as pd


def strange_values(pipeline: Pipeline, table: pd.DataFrame) -> dict[str, int]:
    """By column, how many of the rows hold what no training row held: a number so far out that the net sees it clamped,
    or a category that has no code. Columns without such a value are left out.
    """
    encoder = pipeline.encoder
    assert isinstance(encoder, TableEncoder)
    columns = table[list(encoder.columns)]
    inputs = pipeline.inputs(columns)[:, : len(encoder.numeric)]
    clip = pipeline.preprocess.clip[: len(encoder.numeric)]
    clamped = (inputs.abs() >= clip) & torch.isfinite(clip)
    counts = dict(zip(encoder.numeric, clamped.sum(0).tolist(), strict=True))
    read = encoder.read(columns)
    for name, values in encoder.categories.items():
        known = {*values, None}
        counts[name] = sum(times for value, times in coded(read[name]).counts().items() if value not in known)
    return {name: int(count) for name, count in counts.items() if count}
