"""The training rows of Parquet files, row group by row group: in each pass the groups come in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from autogrow.data.pipeline import Pipeline
from autogrow.data.spec import DataSpec
from autogrow.data.stream import mixed
from autogrow.data.streamed.parts import RowGroup
from autogrow.data.streamed.pieces import ready, truth_of
from autogrow.data.truth import has_truth
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class _Place:
    """Where the reading of a group stands: which training row comes next, and what is left of the piece."""

    group: int
    row: int
    pieces: Iterator[tuple[Tensor, Tensor]]
    rest: tuple[Tensor, Tensor] | None = None


class TableRows:
    """A `RowSource` of row groups. `held`: of each group, by its place, the rows that validate or test.

    The targets of all rows are gone through once, to count the rows that have one: raises DataError, naming the row
    group, for a class that the first part of the stream has not.
    """

    def __init__(
        self,
        groups: Sequence[RowGroup],
        held: Mapping[int, np.ndarray],
        pipeline: Pipeline,
        spec: DataSpec,
    ) -> None:
        self.groups, self.held, self.pipeline, self.spec = groups, held, pipeline, spec
        counted = [self._count(i) for i in range(len(groups))]
        self.counts = np.array([rows for rows, _ in counted], dtype=np.int64)
        self.without_target = sum(gaps for _, gaps in counted)
        self.rows = int(self.counts.sum())
        self.once = False
        self._place: _Place | None = None

    def read(self, a_pass: int, start: int, stop: int, *, seed: int) -> tuple[Tensor, ...]:
        """Rows start … stop − 1 of a pass: x (n, D) and y (n,) or (n, t)."""
        order = np.random.default_rng(mixed(seed, "groups", a_pass)).permutation(len(self.groups))
        ends = np.cumsum(self.counts[order])
        taken = []
        for i, (group, end) in enumerate(zip(order.tolist(), ends.tolist(), strict=True)):
            begin = int(ends[i - 1]) if i else 0
            first, last = max(start, begin), min(stop, end)
            if first < last:
                taken += self._rows_of(group, first - begin, last - begin)
        return tuple(torch.cat(part) for part in zip(*taken, strict=True))

    def _rows_of(self, group: int, start: int, stop: int) -> list[tuple[Tensor, Tensor]]:
        """Training rows start … stop − 1 of a group."""
        place = self._place
        if place is None or place.group != group or place.row > start:
            place = self._place = _Place(group, 0, self._pieces(group))
        taken = []
        while place.row < stop:
            piece = next(place.pieces) if place.rest is None else place.rest
            length = len(piece[0])
            skipped, used = min(length, max(0, start - place.row)), min(length, stop - place.row)
            if skipped < used:
                taken.append((piece[0][skipped:used], piece[1][skipped:used]))
            place.rest = (piece[0][used:], piece[1][used:]) if used < length else None
            place.row += used
        return taken

    def _pieces(self, group: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The training rows of a group, ready for the net."""
        columns = [*self.pipeline.columns, *self.pipeline.targets]
        for table, kept, y in self._with_truth(group, columns):
            rows = np.flatnonzero(kept)
            with self._naming(group):
                piece = ready(table.iloc[rows], y[rows], self.pipeline, self.spec)
            yield piece

    def _with_truth(self, group: int, columns: Sequence[str]) -> Iterator[tuple[pd.DataFrame, np.ndarray, np.ndarray]]:
        """Pieces of a group, which of their rows are training rows with a target, and the targets."""
        first, held = 0, self.held.get(group, np.zeros(0, dtype=np.int64))
        for table in self.groups[group].pieces(columns):
            with self._naming(group):
                y = truth_of(table, self.pipeline, self.spec)
            kept = has_truth(y)
            here = held[(held >= first) & (held < first + len(table))] - first
            kept[here] = False
            yield table, kept, y
            first += len(table)

    def _count(self, group: int) -> tuple[int, int]:
        """How many training rows a group has, and how many of its rows have no target."""
        rows = gaps = 0
        for _, kept, y in self._with_truth(group, self.pipeline.targets):
            rows, gaps = rows + int(kept.sum()), gaps + int((~has_truth(y)).sum())
        return rows, gaps

    @contextmanager
    def _naming(self, group: int) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.groups[group].said()}: {error}") from None
