"""Data that arrive in stages: which rows are there in each.

A row is given its split before its stage. So a split of one stage is part of that split in the next, no row ever moves from one
split to another, and the last stage is what a run without stages learns from (where the stages bring everything).
Stages are numbered from 0; a stage holds its own rows and those of all before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.arrival.files import files_of
from autogrow.data.arrival.when import DEFAULT_STAGES, by_class, by_column, by_fraction, fractions_of, is_whole
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec, names_of
from autogrow.data.splits import Rows, check_sizes
from autogrow.data.target import Target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

ARRIVALS = ("none", "fraction", "column", "class", "files")


@dataclass(frozen=True)
class Arrival:
    """since: the stage in which each row arrives, int64 (n,), `len(names)` for rows that never do. names: each stage in words."""

    since: np.ndarray
    names: tuple[str, ...]


def check_arrival(spec: DataSpec) -> None:
    """Rules that hold before anything is read. Raises DataError naming key, rule and value."""
    kind = spec.arrival
    if kind not in ARRIVALS:
        raise DataError(f"data.arrival {kind!r} is unknown; {nearest(str(kind), ARRIVALS)}")
    given = {"stages": spec.stages, "stage": spec.stage, "arrival_column": spec.arrival_column, "files": spec.files}
    takes = {
        "none": (),
        "fraction": ("stages", "stage"),
        "column": ("stages", "stage", "arrival_column"),
        "class": ("stages", "stage"),
        "files": ("stages", "stage", "files"),
    }[kind]
    for key, value in given.items():
        if key not in takes and value is not None and names_of(value):
            near = [k for k in ARRIVALS[1:] if key != "arrival_column" or k == "column"]
            near = ["files"] if key == "files" else near
            raise DataError(f"data.{key}={value} needs data.arrival={' or '.join(near)}, got data.arrival={kind}")
    if kind == "none":
        return
    if kind == "column" and not spec.arrival_column:
        raise DataError("data.arrival=column needs data.arrival_column=<the column that says when a row arrives>")
    if kind == "fraction":
        fractions_of(spec.stages)
    count = count_stages(spec)
    if spec.stage is not None and not (is_whole(spec.stage) and 0 <= spec.stage < count):
        raise DataError(f"data.stage must be a whole number from 0 to {count - 1}, got {spec.stage!r}")


def count_stages(spec: DataSpec) -> int:
    """How many stages the data arrive in; 1 without arrival. For files it looks into the folder; no data is read."""
    stages: Any = spec.stages
    if spec.arrival == "none":
        return 1
    if spec.arrival == "files":
        return len(files_of(spec))
    if stages is None:
        stages = DEFAULT_STAGES[spec.arrival]
    if isinstance(stages, (str, dict)) or not (is_whole(stages) or hasattr(stages, "__iter__")):
        raise DataError(f"data.stages must be a number of stages or a list of them, got {stages!r}")
    if is_whole(stages):
        if stages < 2:
            raise DataError(f"data.stages must be at least 2 for data.arrival={spec.arrival}, got {stages}")
        return int(stages)
    if not list(stages):
        raise DataError("data.stages must name at least one stage, got []")
    return len(list(stages)) + (spec.arrival == "column")


def arrive(raw: Raw, target: Target, rows: Rows, when: pd.Series | None, spec: DataSpec) -> Arrival:
    """The stage of each row. `when`: the column that `data.arrival_column` names. Raises DataError for a stage without rows."""
    if spec.arrival == "files":
        assert raw.files is not None
        names = tuple(files_of(spec)[: int(raw.files.max()) + 1])
        arrival = Arrival(raw.files, names)
    elif spec.arrival == "fraction":
        arrival = Arrival(*by_fraction(rows, target, spec))
    elif spec.arrival == "class":
        arrival = Arrival(*by_class(target, spec))
    else:
        assert when is not None
        arrival = Arrival(*by_column(when, spec))
    for stage, name in enumerate(arrival.names):
        if not (arrival.since == stage).any():
            raise DataError(f"stage {stage} of data.arrival={spec.arrival} ({name}) has no rows of its own")
    return arrival


def at_stage(
    raw: Raw,
    target: Target,
    rows: Rows,
    numbered: np.ndarray,
    arrival: Arrival,
    stage: int,
    *,
    new_classes: str = "grow",
) -> tuple[Raw, Target, Rows, np.ndarray]:
    """What is there at a stage: rows, targets with the classes seen so far, splits, and which rows of the source they are."""
    kept = np.flatnonzero(arrival.since <= stage)
    place = np.full(len(raw), -1)
    place[kept] = np.arange(len(kept))
    now = Rows(*(_there(place[part]) for part in (rows.train, rows.val, rows.test)))
    held = int((kept >= len(raw) - raw.test_rows).sum())
    values, labels = target.values[kept], target.labels
    notes = [f"stage {stage} of {len(arrival.names)} ({arrival.names[stage]})"]
    if labels:
        new = [labels[code] for code in _new_classes(target.values, arrival.since, stage)]
        if new and new_classes == "refuse":
            listed = ", ".join(map(repr, new))
            raise DataError(
                f"{notes[0]} brings class {listed}, which no stage before it has (data.new_classes=refuse; grow takes it in)"
            )
        notes += [f"classes that are new in this stage: {', '.join(map(str, new))}"] if new else []
        seen, values = np.unique(values, return_inverse=True)
        labels = tuple(labels[code] for code in seen)
    try:
        check_sizes(now, values if labels else None, len(kept))
    except DataError as error:
        raise DataError(f"data.arrival, {notes[0]}: {error}") from None
    there = replace(raw.take(kept), test_rows=held, notes=(*raw.notes, *notes))
    return there, replace(target, values=values, labels=labels), now, numbered[kept]


def arrival_values(raw: Raw, spec: DataSpec) -> pd.Series | None:
    """The column that the stages go by, None where they go by something else. Raises DataError where it is not there."""
    if spec.arrival != "column":
        return None
    name = str(spec.arrival_column)
    columns = [] if isinstance(raw.x, np.ndarray) else [str(c) for c in raw.x.columns]
    if isinstance(raw.x, np.ndarray) or name not in columns:
        raise DataError(f"data.arrival_column: {raw.origin} has no input column {name!r}; {nearest(name, columns)}")
    column = raw.x[name]
    missing = int(column.isna().sum())
    if missing:
        raise DataError(
            f"data.arrival_column {name!r} is missing in {missing} rows; a row without it has no stage to arrive in"
        )
    return column


def _new_classes(codes: np.ndarray, since: np.ndarray, stage: int) -> np.ndarray:
    """Codes of the classes that come with a stage after the first."""
    return np.setdiff1d(codes[since == stage], codes[since < stage]) if stage else codes[:0]


def _there(places: np.ndarray) -> np.ndarray:
    return places[places >= 0]


__all__ = ["ARRIVALS", "Arrival", "arrival_values", "arrive", "at_stage", "check_arrival", "count_stages"]
