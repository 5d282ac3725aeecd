"""Data that arrive in stages: which rows are there in each.

A row is given its split before its stage. So a split of one stage is part of that split in the next, no row ever moves
from one split to another, and the last stage is what a run without stages learns from (where the stages bring
everything). Stages are numbered from 0; a stage holds its own rows and those of all before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.arrival.files import files_of
from autogrow.data.arrival.when import (
    DEFAULT_STAGES,
    Stages,
    by_class,
    by_column,
    by_file,
    by_fraction,
    fractions_of,
    is_whole,
)
from autogrow.data.spec import STREAM, DataSpec, names_of
from autogrow.data.split_rows import SplitData
from autogrow.data.splits import Rows, check_sizes
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

SETTINGS = {
    "none": (),
    "fraction": ("stages", "stage"),
    "column": ("stages", "stage", "arrival_column"),
    "class": ("stages", "stage"),
    "files": ("stages", "stage", "files"),
}
"""What `data.arrival` may be, and which other settings go with each."""


def count_stages(spec: DataSpec) -> int:
    """How many stages the data arrive in, 1 without arrival; for files it looks into the folder. No data are read.

    Raises DataError, naming key, rule and value, where the settings of the arrival do not go together.
    """
    _check_settings(spec)
    if spec.arrival == "none":
        return 1
    count = len(files_of(spec)) if spec.arrival == "files" else _count(spec)
    if spec.stage is not None and not (is_whole(spec.stage) and 0 <= spec.stage < count):
        raise DataError(f"data.stage must be a whole number from 0 to {count - 1}, got {spec.stage!r}")
    return count


def at_stage(data: SplitData, when: pd.Series | None, spec: DataSpec) -> SplitData:
    """What is there at `data.stage` (null: the last), its classes those seen so far; everything, without arrival.

    when: the column that `data.arrival_column` names. Raises DataError for a stage without rows, or too few.
    """
    if spec.arrival == "none":
        return data
    stages = _stages_of(data, when, spec)
    stage = len(stages.names) - 1 if spec.stage is None else spec.stage
    there = np.flatnonzero(stages.since <= stage)
    raw, values, labels = data.raw, data.target.values[there], data.target.labels
    notes = [f"stage {stage} of {len(stages.names)} ({stages.names[stage]})"]
    if labels:
        new = [labels[code] for code in _new_classes(data.target.values, stages.since, stage)]
        if new and spec.new_classes == "refuse":
            listed = ", ".join(map(repr, new))
            raise DataError(
                f"{notes[0]} brings class {listed}, which no stage before it has "
                "(data.new_classes=refuse; grow takes it in)"
            )
        notes += [f"classes that are new in this stage: {', '.join(map(str, new))}"] if new else []
        seen, values = np.unique(values, return_inverse=True)
        labels = tuple(labels[code] for code in seen)
    rows = _renumbered(data.rows, there, len(raw))
    try:
        check_sizes(rows, values if labels else None, len(there))
    except DataError as error:
        raise DataError(f"data.arrival, {notes[0]}: {error}") from None
    held = int((there >= len(raw) - raw.test_rows).sum())
    return SplitData(
        replace(raw.take(there), test_rows=held, notes=(*raw.notes, *notes)),
        replace(data.target, values=values, labels=labels),
        rows,
        data.numbered[there],
        None if data.weight is None else data.weight[there],
    )


def _check_settings(spec: DataSpec) -> None:
    kind = spec.arrival
    if kind not in SETTINGS:
        raise DataError(f"data.arrival {kind!r} is unknown; {nearest(str(kind), SETTINGS)}")
    files = () if spec.source == STREAM else spec.files  # of a stream they need not arrive
    given = {"stages": spec.stages, "stage": spec.stage, "arrival_column": spec.arrival_column, "files": files}
    for key, value in given.items():
        if key not in SETTINGS[kind] and names_of(value):
            near = " or ".join(k for k, takes in SETTINGS.items() if key in takes)
            raise DataError(f"data.{key}={value} needs data.arrival={near}, got data.arrival={kind}")
    if kind == "column" and not spec.arrival_column:
        raise DataError("data.arrival=column needs data.arrival_column=<the column that says when a row arrives>")
    if kind == "fraction":
        fractions_of(spec.stages)


def _count(spec: DataSpec) -> int:
    stages: Any = DEFAULT_STAGES[spec.arrival] if spec.stages is None else spec.stages
    if isinstance(stages, (str, dict)) or not (is_whole(stages) or hasattr(stages, "__iter__")):
        raise DataError(f"data.stages must be a number of stages or a list of them, got {stages!r}")
    if is_whole(stages):
        if stages < 2:
            raise DataError(f"data.stages must be at least 2 for data.arrival={spec.arrival}, got {stages}")
        return int(stages)
    if not list(stages):
        raise DataError("data.stages must name at least one stage, got []")
    return len(list(stages)) + (spec.arrival == "column")  # the last cut leaves a stage above it


def _stages_of(data: SplitData, when: pd.Series | None, spec: DataSpec) -> Stages:
    """The stage of each row. Raises DataError for a stage without rows."""
    if spec.arrival == "files":
        stages = by_file(data.raw)
    elif spec.arrival == "fraction":
        stages = by_fraction(data.rows, data.target, spec)
    elif spec.arrival == "class":
        stages = by_class(data.target, spec)
    else:
        assert when is not None
        stages = by_column(when, spec)
    for stage, name in enumerate(stages.names):
        if not (stages.since == stage).any():
            raise DataError(f"stage {stage} of data.arrival={spec.arrival} ({name}) has no rows of its own")
    return stages


def _renumbered(rows: Rows, there: np.ndarray, n: int) -> Rows:
    """The rows of each split that are there, by their place among those that are."""
    place = np.full(n, -1)
    place[there] = np.arange(len(there))
    train, val, test = (place[part] for part in (rows.train, rows.val, rows.test))
    return Rows(train[train >= 0], val[val >= 0], test[test >= 0])


def _new_classes(codes: np.ndarray, since: np.ndarray, stage: int) -> np.ndarray:
    """Codes of the classes that come with a stage after the first."""
    return np.setdiff1d(codes[since == stage], codes[since < stage]) if stage else codes[:0]


__all__ = ["SETTINGS", "at_stage", "count_stages"]
