"""The first part of a stream: the bounded sample that columns, scales, categories and classes are known from, and that
validates and tests.

Of Parquet files it is the first rows of some row groups, drawn by `data.split_seed` from all of them, so that files
sorted by time or class are known as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from autogrow.data.columns import is_text, with_text_names
from autogrow.data.prepared import Prepared, Split
from autogrow.data.raw import Raw
from autogrow.data.reading.find import Asked, find_reading
from autogrow.data.reading.written import Written
from autogrow.data.sources.sentinels import ask_about_sentinels
from autogrow.data.sources.tables import from_table
from autogrow.data.spec import DataSpec
from autogrow.data.stream import RowSource
from autogrow.data.streamed.parts import PIECE, RowGroup, fingerprint_of, row_groups_of
from autogrow.data.streamed.table_rows import TableRows

if TYPE_CHECKING:
    import pandas as pd

SPREAD = 16
"""Row groups that the first part is drawn from, where there are so many."""


def drawn(groups: Sequence[RowGroup], spec: DataSpec) -> list[tuple[int, int]]:
    """Which groups the first part comes from, by their places in order, and how many of their first rows."""
    order = np.random.default_rng([spec.split_seed, 5]).permutation(len(groups))
    wanted, out = spec.first_rows, []
    for left, place in zip(range(min(SPREAD, len(groups)), 0, -1), order.tolist(), strict=False):
        out.append((place, min(groups[place].rows, -(-wanted // left))))
        wanted -= out[-1][1]
    for place in order.tolist()[len(out) :]:  # where groups are so small that these do not hold enough
        if wanted <= 0:
            break
        out.append((place, min(groups[place].rows, wanted)))
        wanted -= out[-1][1]
    return sorted((place, rows) for place, rows in out if rows > 0)


def read_first_part(spec: DataSpec) -> Raw:
    """The rows of the first part, as they are in the files."""
    groups = row_groups_of(spec)
    return raw_of(_table(groups, drawn(groups, spec)), spec, _origin(groups))


def raw_of(table: pd.DataFrame, spec: DataSpec, origin: str) -> Raw:
    """A typed table as raw rows: text that the settings call numbers or dates is read as such."""
    asked = Asked(numeric=spec.numeric, dates=spec.dates or {})
    named = [name for name in (*spec.numeric, *(spec.dates or ())) if name in table and is_text(table[name])]
    found = {name: find_reading(table[name], asked) for name in named}
    table = table.assign(**{name: one.reading.read(table[name]) for name, one in found.items()})
    written = Written(readings={name: one.reading for name, one in found.items()}, missing=spec.missing)
    notes = [note for one in found.values() for note in one.notes] + ask_about_sentinels(table)
    return from_table(table, spec, origin, tuple(notes), written)


def _table(groups: Sequence[RowGroup], places: Sequence[tuple[int, int]]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for place, rows in places:
        pieces = list(islice(groups[place].pieces(), -(-rows // PIECE)))
        parts.append(pd.concat(pieces, ignore_index=True).iloc[:rows])
    return with_text_names(pd.concat(parts, ignore_index=True))


def streamed_tables(prepared: Prepared, spec: DataSpec) -> Prepared:
    """What was prepared from the first part, with the training rows of the files behind it.

    Raises DataError, naming the row group, for a class that the first part has not.
    """
    groups = row_groups_of(spec)
    places = drawn(groups, spec)
    group = np.concatenate([np.full(rows, place) for place, rows in places])
    inside = np.concatenate([np.arange(rows) for _, rows in places])
    judged = np.concatenate([prepared.val.rows.numpy(), prepared.test.rows.numpy()])
    held = {place: np.sort(inside[judged[group[judged] == place]]) for place, _ in places}
    source = TableRows(groups, held, prepared.pipeline, spec)
    numbers = np.array([groups[place].before for place in range(len(groups))])[group] + inside
    notes = [said_of(prepared, len(group), f"{len(places)} of {len(groups)} row groups")]
    if source.without_target:
        notes.append(f"{source.without_target:,} rows of the stream have no target: left out")
    fingerprint = fingerprint_of(groups, prepared.card["fingerprint"])
    return _renumbered(with_stream(prepared, source, notes, fingerprint), torch.from_numpy(numbers))


def with_stream(prepared: Prepared, source: RowSource, notes: Sequence[str], fingerprint: str) -> Prepared:
    """The data with a stream of training rows, and a card that says so."""
    card = prepared.card
    splits = {**card["splits"], "train": source.rows}
    card = {
        **card,
        "rows": sum(splits.values()),
        "splits": splits,
        "fingerprint": fingerprint,
        "notes": [*card["notes"], *notes],
    }
    return replace(prepared, stream=source, card=card)


def _renumbered(prepared: Prepared, numbers: torch.Tensor) -> Prepared:
    """The first part's rows by the numbers that they have in the whole stream."""

    def part(split: Split) -> Split:
        return replace(split, rows=numbers[split.rows])

    return replace(prepared, train=part(prepared.train), val=part(prepared.val), test=part(prepared.test))


def said_of(prepared: Prepared, first: int, where: str) -> str:
    """What the data card says of a stream whose first part has so many rows. where: they come from."""
    return (
        f"a stream: {len(prepared.val):,} rows to validate, {len(prepared.test):,} to test, and all that is known of the "
        f"columns come from a first part of {first:,} rows (from {where}); training reads the others as they go by"
    )


def _origin(groups: Sequence[RowGroup]) -> str:
    files = list(dict.fromkeys(group.path for group in groups))
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {files[0].parent}"
