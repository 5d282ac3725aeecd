"""From raw rows to the encoded tensor, in training and at inference. Its state is plain, so it travels in a checkpoint.

n rows, D encoded columns. Numeric columns come first, in the table's order, as they are (NaN = missing; booleans are 0
and 1, dates are days since 1970; one whose values 32-bit floats would merge is centred and scaled first, see `centre`);
then the years of dates; then, as they are, whether a number is missing (where it was in training) and the parts of
dates that come round; then the categories, one-hot (an unseen value is all zeros; missing has a column of its own where
it occurred in training, else it is all zeros) or as one column of codes each (0 = unseen; missing has a code of its own
where it occurred in training).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.as_text import coded
from autogrow.data.centre import Centring
from autogrow.data.columns import (
    days,
    doubles,
    is_missing,
    refuse_duplicates,
    single,
    stored,
    with_dates,
    with_text_names,
    without_marks,
)
from autogrow.data.date_parts import different_days, waves, years
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.reading.column import Reading
from autogrow.errors import CheckpointError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

Lying = list[np.ndarray]
"""Encoded columns (m,) float32, in the order of `TableEncoder.encoded`."""
_NONE = np.empty(0, dtype=np.float32)
_NEAR, _MOST = 1 << 18, 1 << 12  # cells, and rows, that are written at a time


@dataclass(frozen=True)
class TableEncoder:
    """Rows of a table to (n, D) float32.

    `columns`: the inputs in the table's order. `numeric`: those encoded as numbers, `dates` those of
    them that are dates (at inference text in ISO form will do). `categories`: for each other column
    the values it may take (as text; None stands for missing). `coding`: onehot or embed. `ignored`: columns that may be
    there and are not looked at (target, split column, dropped ones). `centred`: the numeric columns that are centred
    and scaled before they are 32-bit floats. `readings`, `missing`: how text is read, and what means missing, as in the
    file that was learned from. `indicators`: numeric columns that say where they are missing. `parts`: what dates tell
    beside their day.
    """

    columns: tuple[str, ...]
    numeric: tuple[str, ...]
    dates: tuple[str, ...]
    categories: Mapping[str, tuple[str | None, ...]]
    coding: str = "onehot"
    ignored: tuple[str, ...] = ()
    centred: Mapping[str, Centring] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """D: how many encoded columns there are."""
        return len(self.encoded())

    @property
    def quantities(self) -> int:
        """How many of the encoded columns, the first ones, are to be standardised: numbers, and the years of dates."""
        return len(self.numeric) + sum("year" in parts for parts in self.parts.values())

    def encoded(self) -> list[tuple[str, Any]]:
        """What each encoded column says: of which column of the table, and what."""
        keys: list[tuple[str, Any]] = [(name, "number") for name in self.numeric]
        keys += [(name, "year") for name, parts in self.parts.items() if "year" in parts]
        keys += [(name, "is missing") for name in self.indicators]
        for name, parts in self.parts.items():
            keys += [(name, (wave, part)) for part in parts if part != "year" for wave in ("sine", "cosine")]
        for name, values in self.categories.items():
            keys += [(name, "code")] if self.coding == "embed" else [(name, ("is", value)) for value in values]
        return keys

    @property
    def embeddings(self) -> list[int]:
        """Number of codes of each column of codes, 0 = unseen included; empty for one-hot."""
        return [len(v) + 1 for v in self.categories.values()] if self.coding == "embed" else []

    def encode(self, table: Any) -> Tensor:
        """A DataFrame, an array (n, columns) in the order of `columns`, or a list of dicts, to (n, D) float32.

        Raises DataError for missing or unknown columns, text in a numeric column, and infinite values.
        """
        frame = self.read(table)
        (whole,) = standing(self.encode_rows(dict(frame.items()), np.arange(len(frame))), [len(frame)])
        return whole

    def encode_rows(self, columns: dict[Any, pd.Series], rows: np.ndarray) -> Lying:
        """Of the columns that `read` gives these rows (m,), in this order: D encoded columns, (m,) float32 each.

        Columns are taken out of the mapping as they are encoded: where nobody else holds them, no more than the larger
        one of table and rows is held, in the very memory that is let go. `standing` makes rows of what was encoded.
        """
        where = {key: k for k, key in enumerate(self.encoded())}
        lying: Lying = [_NONE] * len(where)
        for name in self.columns:
            column = columns.pop(name)
            if name in self.categories and self.coding != "embed":
                codes = self._codes(column).take(rows)
                for code, value in enumerate(self.categories[name]):
                    lying[where[name, ("is", value)]] = (codes == code).astype(np.float32)
                continue
            for what, values in self._encoded_column(column):
                lying[where[name, what]] = values.astype(np.float32, copy=False).take(rows)
        return lying

    def _codes(self, column: pd.Series) -> np.ndarray:
        """The place (n,) of each category among those of its column, −1 for one that is not there."""
        return coded(column).at({value: i for i, value in enumerate(self.categories[str(column.name)])}, -1)

    def _encoded_column(self, column: pd.Series) -> Iterator[tuple[Any, np.ndarray]]:
        """What is made of a column that is not one-hot, each (n,) with what it says."""
        name = str(column.name)
        if name in self.categories:
            yield "code", self._codes(column) + 1
            return
        yield "number", self._numbers(column)
        if name in self.indicators:
            yield "is missing", is_missing(column)
        if name in self.parts:
            which, different = different_days(days(column))
            rounds = [part for part in self.parts[name] if part != "year"]
            if "year" in self.parts[name]:
                yield "year", years(different)[which]
            keys = ((wave, part) for part in rounds for wave in ("sine", "cosine"))
            yield from zip(keys, (wave[which] for wave in waves(different, rounds).T), strict=True)

    def _numbers(self, column: pd.Series) -> np.ndarray:
        name = str(column.name)
        if name in self.centred:
            return single(self.centred[name](doubles(column, date=name in self.dates)), name)
        return single(stored(column, date=name in self.dates), name)

    def read(self, table: Any) -> pd.DataFrame:
        """The inputs with text read as it was in training, and what means missing as missing."""
        frame = self._frame(table)
        columns = without_marks(with_dates(frame[list(self.columns)]), self.missing)
        read = {name: reading.read(columns[name]) for name, reading in self.readings.items() if name in columns}
        return without_marks(columns.assign(**read), self.missing) if read else columns

    def _frame(self, table: Any) -> pd.DataFrame:
        import pandas as pd

        if isinstance(table, pd.DataFrame):
            frame = table
        elif isinstance(table, Mapping):
            frame = pd.DataFrame([table])
        elif isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
            frame = pd.DataFrame(list(table))
        else:
            values = table if isinstance(table, np.ndarray) else np.asarray(table, dtype=object)
            if values.ndim != 2 or values.shape[1] != len(self.columns):
                raise DataError(
                    f"an array of rows must have the shape (rows, {len(self.columns)}), one column for each of "
                    f"{', '.join(self.columns[:8])}{', …' if len(self.columns) > 8 else ''}, got {tuple(values.shape)}"
                )
            frame = pd.DataFrame(values, columns=list(self.columns)).infer_objects()
        frame = self._named(with_text_names(frame))
        self._check_columns(list(frame.columns))
        return frame

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with the names that a file's reader gives: without blanks around them, and one for a blank one."""
        if not self.missing or set(self.columns) <= set(frame.columns):
            return frame
        return frame.set_axis([name.strip() or f"Unnamed: {k}" for k, name in enumerate(frame.columns)], axis=1)

    def _check_columns(self, given: list[str]) -> None:
        refuse_duplicates(given, "the table")
        present = set(given)
        absent = [c for c in self.columns if c not in present]
        if absent:
            raise DataError(
                f"the table lacks the column {absent[0]!r} ({len(absent)} missing); {nearest(absent[0], given)}"
            )
        expected = {*self.columns, *self.ignored}
        unknown = [c for c in given if c not in expected]
        if unknown:
            raise DataError(f"the table has the unknown column {unknown[0]!r}; {nearest(unknown[0], self.columns)}")

    def state(self) -> dict[str, Any]:
        """The encoder as plain containers."""
        return {
            "kind": "table",
            "columns": list(self.columns),
            "numeric": list(self.numeric),
            "dates": list(self.dates),
            "categories": {k: list(v) for k, v in self.categories.items()},
            "coding": self.coding,
            "ignored": list(self.ignored),
            "centred": {name: [c.origin, c.spread] for name, c in self.centred.items()},
            "readings": {name: reading.state() for name, reading in self.readings.items()},
            "missing": list(self.missing),
            "indicators": list(self.indicators),
            "parts": {name: list(parts) for name, parts in self.parts.items()},
        }


Encoder = TableEncoder | ImageEncoder


def encoder_from_state(state: Mapping[str, Any]) -> Encoder:
    """The encoder that `state` came from."""
    if state["kind"] == "image":
        c, h, w = state["shape"]
        return ImageEncoder((c, h, w))
    if state["kind"] != "table":
        raise CheckpointError(
            f"encoder kind {state['kind']!r} is not one a checkpoint may hold; "
            f"{nearest(str(state['kind']), ['table', 'image'])}"
        )
    return TableEncoder(
        columns=tuple(state["columns"]),
        numeric=tuple(state["numeric"]),
        dates=tuple(state["dates"]),
        categories={k: tuple(v) for k, v in state["categories"].items()},
        coding=state["coding"],
        ignored=tuple(state["ignored"]),
        centred={name: Centring(*found) for name, found in state.get("centred", {}).items()},  # older ones have none
        readings={name: Reading.from_state(found) for name, found in state.get("readings", {}).items()},
        missing=tuple(state.get("missing", ())),
        indicators=tuple(state.get("indicators", ())),
        parts={name: tuple(found) for name, found in state.get("parts", {}).items()},
    )


def standing(lying: Lying, sizes: Sequence[int]) -> list[Tensor]:
    """Encoded columns as rows, so many (m, D) of each size, one part after the other."""
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    return [_standing(lying, end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _standing(lying: Lying, begin: int, end: int) -> Tensor:
    """These rows, as many at a time as stay in a processor's cache."""
    together = min(_MOST, max(1, _NEAR // max(1, len(lying))))
    rows = torch.empty(end - begin, len(lying)).numpy()  # NumPy's asks for huge pages, which take longer to be cleared
    tile = np.empty((len(lying), together + 16), dtype=np.float32)  # columns a power of two apart share cache lines
    for first in range(begin, end, together):
        count = min(together, end - first)
        for own, column in zip(tile, lying, strict=True):
            own[:count] = column[first : first + count]
        rows[first - begin : first - begin + count] = tile[:, :count].T
    return torch.from_numpy(rows)
