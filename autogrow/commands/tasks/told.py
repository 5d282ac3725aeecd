"""What a run was told of its table, for a table that its net is asked about: how it is written, how much rows count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

import numpy as np

from autogrow.data.reading.column import Reading
from autogrow.data.row_weights import weights_of_column
from autogrow.errors import CheckpointError
from autogrow.plain import Amount, fault
from autogrow.train.record.folder import CHECKPOINTS, CONFIG, is_begun, read_settings

if TYPE_CHECKING:
    import pandas as pd


class Told(TypedDict):
    """What of a run's settings says how its table was written, and how much its rows counted."""

    separator: NotRequired[str | None]
    encoding: NotRequired[str | None]
    header: NotRequired[bool | None]
    weight: NotRequired[str | None]
    class_weight: NotRequired[Mapping[str, Amount] | str | None]


def told_of(run: Path) -> Mapping[str, Any]:
    """The settings of data of a run folder, or of the one that a checkpoint lies in; none where there is no config."""
    folder = run.parent.parent if run.parent.name == CHECKPOINTS else run
    if not is_begun(folder):
        return {}
    told = read_settings(folder).get("data")
    if found := fault(told, Told, "data"):
        raise CheckpointError(f"{folder / CONFIG} is not the config of a run: {found}")
    return cast("Mapping[str, Any]", told)


@dataclass(frozen=True)
class Weight:
    """How much a row counts: by the numbers of a column, and by its class."""

    column: str | None
    reading: Reading
    by_class: Mapping[str, float] = field(default_factory=dict)

    def said(self) -> str:
        """In words."""
        by = [] if self.column is None else [f"the column {self.column!r}"]
        by += [f"their class ({', '.join(f'{k} {v:g}' for k, v in self.by_class.items())})"] if self.by_class else []
        return f"rows count by {' and by '.join(by)}"

    def of_rows(self, frame: pd.DataFrame, y: np.ndarray, labels: Sequence[Any]) -> np.ndarray:
        """The weights (n,) of rows with their targets `y`. Raises DataError for what is none."""
        weights = np.ones(len(frame))
        if self.column is not None:
            weights = weights_of_column(self.reading.read(frame[self.column]))
        if self.by_class:
            weights = weights * np.array([self.by_class.get(str(label), 1.0) for label in labels])[y]
        return weights


def weight_of(told: Mapping[str, Any], columns: Sequence[str]) -> tuple[Weight | None, list[str]]:
    """How much the rows of a table with these columns count, as the run was told; in words what cannot be done so."""
    column, by_class, lacking = told.get("weight"), told.get("class_weight"), []
    if column is not None and column not in columns:
        lacking.append(f"rows of the run counted by the column {column!r}, which is not in the table: here they do not")
        column = None
    if isinstance(by_class, str):
        lacking.append(f"rows of the run counted by their class ({by_class} in its training rows): here they do not")
        by_class = None
    weight = None if column is None and not by_class else Weight(column, Reading("number"), by_class or {})
    return weight, lacking
