"""A data set ready to train on.

B rows of a split, t targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from autogrow.data.continued.extend import Extension
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.encode import Encoder
from autogrow.data.pipeline import Pipeline
from autogrow.data.preprocess import Standardise
from autogrow.data.stream import RowSource


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    x: float32 (B, *input_shape), ready for the net. y: int64 (B,) class codes, or float32 (B, t) standardised targets.
    rows: which rows of the source these are, int64 (B,), in a seeded random order (a test file keeps its own).
    weight: how much each row counts, float32 (B,) with a mean of 1; None for all alike.
    """

    x: Tensor
    y: Tensor
    rows: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Prepared:
    """A data set ready to train on: three splits, the pipeline that made them, and the data card."""

    name: str
    pipeline: Pipeline
    train: Split
    val: Split
    test: Split
    card: dict[str, Any]
    extension: Extension | None = None
    """For a net that is there already: how its input and output change."""
    known_rows: Callable[[], KnownRows] | None = None
    """Which rows are in which split, and were, as far as that is known."""
    stream: RowSource | None = None
    """Where training rows go by: all of them. `train` then holds those of the first part."""

    @property
    def train_rows(self) -> int:
        """How many rows are learned from in a pass."""
        return len(self.train) if self.stream is None else self.stream.rows

    @property
    def task(self) -> str:
        """'classification' or 'regression'."""
        return self.pipeline.task

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(d,) or (C, H, W)."""
        return self.pipeline.input_shape

    @property
    def outputs(self) -> int:
        """Classes (2 for a binary problem), or targets."""
        return self.pipeline.outputs

    @property
    def labels(self) -> list[Any]:
        """The class of each output; empty for regression."""
        return self.pipeline.labels

    @property
    def encoder(self) -> Encoder:
        """Raw table → encoded tensor."""
        return self.pipeline.encoder

    @property
    def preprocess(self) -> Standardise:
        """Encoded tensor → net input."""
        return self.pipeline.preprocess

    @property
    def target_scale(self) -> tuple[Tensor, Tensor] | None:
        """Mean and std (t,) of the training targets; None for classification."""
        return self.pipeline.target_scale

    @property
    def embeddings(self) -> list[int]:
        """How many codes each of the last input columns holds; empty where categories are one-hot."""
        return self.pipeline.embeddings

    def state(self) -> dict[str, Any]:
        """The pipeline as tensors and plain containers; `Pipeline.from_state` is the inverse."""
        return self.pipeline.state()
