"""Batches of one's own as a stream: anything that can be iterated, and hands out rows with their targets.

n rows of a batch, d inputs, t targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.pipeline import Pipeline
from autogrow.data.prepared import Prepared
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec
from autogrow.data.streamed.first_part import raw_of, said_of, with_stream
from autogrow.data.streamed.pieces import ready, truth_of
from autogrow.data.truth import has_truth
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

ORIGIN = "a stream of one's own"


def frame_of(batch: Any) -> pd.DataFrame:
    """A batch as a table: a frame, a mapping from column to values (n,), or a pair x (n, d), y (n,) or (n, t)."""
    import pandas as pd

    if isinstance(batch, pd.DataFrame):
        return batch.reset_index(drop=True)
    if isinstance(batch, Mapping):
        return pd.DataFrame({name: np.asarray(values) for name, values in batch.items()})
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise DataError(
            "a stream hands out frames, mappings from column to values, or pairs (x, y), "
            f"got {type(batch).__name__}{f' of {len(batch)}' if isinstance(batch, (tuple, list)) else ''}"
        )
    x, y = (np.asarray(part) for part in batch)
    if x.ndim != 2 or y.ndim not in (1, 2) or len(x) != len(y):
        raise DataError(f"a pair (x, y) of a stream must be (n, d) and (n,) or (n, t), got {x.shape} and {y.shape}")
    names = ["target"] if y.ndim == 1 else [f"target_{i}" for i in range(y.shape[1])]
    columns = {f"x{i}": column for i, column in enumerate(x.T)}
    by_target = y[:, None] if y.ndim == 1 else y
    return pd.DataFrame({**columns, **dict(zip(names, by_target.T, strict=True))})


def targets_of(batch: Any, spec: DataSpec) -> DataSpec:
    """The spec with the targets that a pair (x, y) has, where it names none."""
    if any(spec.target or ()) or not isinstance(batch, (tuple, list)):
        return spec
    return replace(spec, target=tuple(n for n in frame_of(batch).columns if n.split("_")[0] == "target"))


@dataclass
class FirstBatches:
    """The first batches of a stream, as raw rows, and what it takes to go on behind them."""

    raw: Raw
    spec: DataSpec
    batches: int
    rest: Iterator[Any]

    @staticmethod
    def of(stream: Iterable[Any], spec: DataSpec) -> FirstBatches:
        """Whole batches until `data.first_rows` rows are there. Raises DataError for a stream without any."""
        import pandas as pd

        frames: list[pd.DataFrame] = []
        going, rows = iter(stream), 0
        for batch in going:
            if not frames:
                spec = targets_of(batch, spec)
            frames.append(frame_of(batch))
            rows += len(frames[-1])
            if rows >= spec.first_rows:
                break
        if not frames:
            raise DataError("the stream is empty: it must hand out at least one batch")
        raw = raw_of(pd.concat(frames, ignore_index=True), spec, ORIGIN)
        return FirstBatches(raw, spec, len(frames), going)


class OwnRows:
    """A `RowSource` of a stream of one's own: the training rows of the first part, then the rest as it comes.

    `once`: the stream is an iterator, which cannot be begun again. rows: of a pass, without those held out; None:
    counted by going through it.
    """

    def __init__(
        self, stream: Iterable[Any], first: FirstBatches, train: tuple[Tensor, Tensor], pipeline: Pipeline
    ) -> None:
        self.stream, self.first, self.train, self.pipeline = stream, first, train, pipeline
        self.once = iter(stream) is stream
        spec = first.spec
        if spec.stream_rows is None and self.once:
            raise DataError(
                "an iterator can be gone through once, so its rows cannot be counted: say how many it has with "
                "data.stream_rows, or give what can be iterated again (a list, a class with __iter__)"
            )
        if spec.stream_rows is not None and spec.stream_rows < len(first.raw):
            raise DataError(
                f"data.stream_rows={spec.stream_rows} is below the {len(first.raw)} rows of the stream's first part; "
                "lower data.first_rows, or say how many rows the stream has"
            )
        behind = self._count() if spec.stream_rows is None else spec.stream_rows - len(first.raw)
        self.rows = len(train[0]) + behind
        self._pass, self._row = 0, 0
        self._pieces = self._ready(first.rest) if self.once else self._begun()
        self._rest: tuple[Tensor, ...] | None = None

    def read(self, a_pass: int, start: int, stop: int, *, seed: int) -> tuple[Tensor, ...]:  # noqa: ARG002  (rows come in their own order)
        """Rows start … stop − 1 of a pass, in the order in which they come: x (n, D) and y (n,) or (n, t)."""
        if a_pass != self._pass or start < self._row:
            if self.once:
                raise DataError(
                    f"the stream would have to go back to row {start} of pass {a_pass}, and an iterator cannot: give "
                    "what can be iterated again (a list, a class with __iter__)"
                )
            self._pass, self._row, self._pieces, self._rest = a_pass, 0, self._begun(), None
        taken = []
        while self._row < stop:
            piece = self._next() if self._rest is None else self._rest
            length = len(piece[0])
            skipped, used = min(length, max(0, start - self._row)), min(length, stop - self._row)
            if skipped < used:
                taken.append(tuple(part[skipped:used] for part in piece))
            self._rest = tuple(part[used:] for part in piece) if used < length else None
            self._row += used
        return tuple(torch.cat(part) for part in zip(*taken, strict=True))

    def _next(self) -> tuple[Tensor, ...]:
        piece = next(self._pieces, None)
        if piece is None:
            raise DataError(
                f"the stream ended after {self._row} training rows of the {self.rows} that data.stream_rows="
                f"{self.first.spec.stream_rows} leaves; rows without a target do not count"
            )
        return piece

    def _begun(self) -> Iterator[tuple[Tensor, ...]]:
        return self._ready(islice(iter(self.stream), self.first.batches, None))

    def _ready(self, batches: Iterator[Any]) -> Iterator[tuple[Tensor, ...]]:
        yield self.train
        for batch in batches:
            table = frame_of(batch)
            y = truth_of(table, self.pipeline, self.first.spec)
            rows = np.flatnonzero(has_truth(y))
            if len(rows):
                yield ready(table.iloc[rows], y[rows], self.pipeline, self.first.spec)

    def _count(self) -> int:
        behind = islice(iter(self.stream), self.first.batches, None)
        spec = self.first.spec
        return sum(int(has_truth(truth_of(frame_of(batch), self.pipeline, spec)).sum()) for batch in behind)


def streamed_batches(prepared: Prepared, stream: Iterable[Any], first: FirstBatches) -> Prepared:
    """What was prepared from the first batches, with the rows behind them."""
    source = OwnRows(stream, first, (prepared.train.x, prepared.train.y), prepared.pipeline)
    note = said_of(prepared, len(first.raw), f"{first.batches} batches")
    digest = hashlib.sha256(f"{prepared.card['fingerprint']} {source.rows}".encode()).hexdigest()
    return with_stream(prepared, source, [note], digest)
